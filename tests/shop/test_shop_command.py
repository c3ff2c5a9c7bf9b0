"""`python -m examples.shop` and `python -m examples.shop.history` as commands."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from examples.shop.catalogue import load_catalogue
from examples.shop.demo import listening, shop_command
from examples.shop.history import DAYS, events
from schemas.decode import Decoder
from schemas.settings import Settings
from tests.shop.open_shop import Visitor
from tests.shop.standin_api import StandInApi

NOW_MS = 1_760_000_000_000
SHOP = load_catalogue()


def visitor_at(url: str) -> Visitor:
    return Visitor(int(url.rpartition(":")[2]))


class TestShopCommand:
    def test_it_serves_and_ends_with_everything_sent(self, api: StandInApi, tmp_path: Path) -> None:
        """With the key of a file; what was seen in the last moment arrives before it ends."""
        file = tmp_path / "key"
        file.write_text("sgm_of-a-file\n")
        api.take = lambda: time.sleep(0.5) or 200  # type: ignore[func-returns-value]
        with listening(*shop_command("--port", "0", "--api", api.url, "--key-file", str(file))) as url:
            assert visitor_at(url).get("/p/teapot").status == 200
        assert [event["product_id"] for event in api.of_type("product_viewed")] == ["teapot"]
        assert {key for _, _, key in api.questions} == {"sgm_of-a-file"}

    def test_the_key_of_the_environment(self, api: StandInApi) -> None:
        """Without a file."""
        with listening(*shop_command("--port", "0", "--api", api.url), SEGMILL_SHOP_KEY="sgm_there") as url:
            visitor_at(url).get("/")
        assert api.questions[0][2] == "sgm_there"

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--api", "shop.example"), "an address such as"),
            (("--api", "http://user@x/path?x=1"), "an address such as"),
            (("--key-file", "none-there"), "No such file"),
            (("--catalogue", "none-there"), "No such file"),
            (("--catalogue", __file__), "no product"),
        ],
    )
    def test_what_it_refuses(self, options: tuple[str, ...], said: str) -> None:
        """With one line."""
        ended = subprocess.run(shop_command("--port", "0", *options), capture_output=True, text=True, timeout=30)
        assert ended.returncode == 1
        assert said in ended.stderr
        assert len(ended.stderr.splitlines()) == 1

    def test_help(self) -> None:
        """Names the options."""
        ended = subprocess.run(shop_command("--help"), capture_output=True, text=True, timeout=30, check=True)
        assert {"--port", "--api", "--key-file", "--https"} <= set(ended.stdout.replace(",", " ").split())


class TestHistory:
    def test_everything_in_it_is_accepted(self) -> None:
        """In order of time, and over before its end; the same twice."""
        made = events(SHOP, NOW_MS, visitors=50)
        decode = Decoder(Settings()).decode
        for event in made:
            decode(json.dumps(event).encode())
        times = [event["timestamp"] for event in made]
        assert times == sorted(times)
        assert NOW_MS - (DAYS + 1) * 86_400_000 < times[0] < times[-1] < NOW_MS
        assert made == events(SHOP, NOW_MS, visitors=50)
        assert made != events(SHOP, NOW_MS, visitors=50, seed=2)
        assert {event["product_id"] for event in made if "product_id" in event} == set(SHOP)

    def test_the_command(self, tmp_path: Path) -> None:
        """Writes a log that ends when it is told."""
        path = tmp_path / "new" / "log.jsonl"
        command = [sys.executable, "-m", "examples.shop.history", str(path), "--visitors", "3", "--until", str(NOW_MS)]
        subprocess.run(command, check=True, timeout=30, capture_output=True)
        assert [json.loads(line) for line in path.read_text().splitlines()] == events(SHOP, NOW_MS, visitors=3)
