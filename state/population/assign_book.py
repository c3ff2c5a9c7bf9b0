"""What the assign operator was told: the view in force, and the rules that customers live under.

Every subtask keeps the same, in state that is broadcast. Of rules the texts are kept, so that a restarted job knows
what customers live under before anything else comes.
"""

from typing import Final, Protocol

from schemas.control import CONTROL_BYTE, decode_control
from state.packing import pack
from state.population.assign import AssignLogic
from state.population.refusal import unpack_versioned
from state.population.rules_kept import keep
from state.rules.ruleset import RuleSet, parse_rules

VERSION: Final = 1
_VIEW, _RULES = "view", "rules"


class Kept(Protocol):
    """Where it is kept: values by name."""

    def get(self, key: str) -> bytes | None: ...
    def put(self, key: str, packed: bytes) -> None: ...


class AssignBook:
    """Tells an `AssignLogic` what was broadcast. Bound: a view, and the texts of RULES_KEPT rule files."""

    def __init__(self, logic: AssignLogic, rules: RuleSet) -> None:
        """`rules`: of the submission, which `logic` knows."""
        self._logic, self._submitted = logic, rules
        self._texts: dict[str, str] = {}  # by version, the oldest first
        self.on_standing, self.on_timer, self.tally = logic.on_standing, logic.on_timer, logic.tally

    def on_start(self, kept: Kept) -> bool:
        """Go on where it stands; whether every customer has to be woken, as after each restart.

        Other rules may have been submitted, and before it somebody may have been about to be woken.

        Raises:
            PopulationError: a newer program wrote it.
        """
        packed = kept.get(_RULES)
        submitted = None
        if packed is not None:
            submitted, texts = unpack_versioned(packed, VERSION, "what the assign operator was told")
            for text in texts:
                self._learn(parse_rules(text))
        if submitted != self._submitted.version:  # else rules that came after it are newer still
            self._learn(self._submitted)
        elif submitted not in self._texts:
            self._logic.forget_rules(submitted)
        self._save(kept)
        view = kept.get(_VIEW)
        if view is not None:
            self._logic.on_view(view)
        return packed is not None

    def on_broadcast(self, payload: bytes, kept: Kept) -> bool:
        """A view or a control record; whether every customer has to be woken."""
        if payload[0] != CONTROL_BYTE:
            is_newer = self._logic.on_view(payload)
            if is_newer:
                kept.put(_VIEW, payload)
            return is_newer
        control = decode_control(payload, len(payload))
        if control.rules is None:
            return False
        self._learn(parse_rules(control.rules))
        self._save(kept)
        return True

    def _learn(self, rules: RuleSet) -> None:
        gone = keep(self._texts, rules.version, rules.text)
        self._logic.learn_rules(rules.remainder)
        for version in gone:
            self._logic.forget_rules(version)

    def _save(self, kept: Kept) -> None:
        kept.put(_RULES, pack([VERSION, self._submitted.version, list(self._texts.values())]))
