"""docs/events.md says what is so."""

import re
from pathlib import Path

import pytest

from schemas.decode import Decoder
from schemas.events import AnyEvent
from schemas.facts import Kind
from schemas.rejects import Reason, Rejected
from schemas.settings import Settings

TEXT = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```json\n(.*?)\n```", re.DOTALL)
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE))
EXAMPLES = [line for block in BLOCK.findall(SECTIONS["Types"]) for line in block.split("\n")]
REASONS = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^### |\Z)", SECTIONS["Rejected records"], re.DOTALL | re.MULTILINE))


class TestTypes:
    """The examples of the types."""

    def test_all_types(self) -> None:
        """Every type has an example that is accepted."""
        decoder = Decoder(Settings())
        assert {decoder.decode(example.encode())[1].kind for example in EXAMPLES} == set(Kind)
        assert len(Kind) == len(AnyEvent.__args__)


class TestReasons:
    """The examples of the reasons."""

    def test_all_reasons(self) -> None:
        """Every reason is explained, and no other."""
        assert set(REASONS) == {reason.value for reason in Reason}

    @pytest.mark.parametrize("reason", sorted(name for name, text in REASONS.items() if BLOCK.search(text)))
    def test_example(self, reason: str) -> None:
        """The example is rejected for this reason."""
        found = BLOCK.search(REASONS[reason])
        assert found
        with pytest.raises(Rejected) as caught:
            Decoder(Settings()).decode(found[1].encode())
        assert caught.value.reason == reason
