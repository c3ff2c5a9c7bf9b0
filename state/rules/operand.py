"""A checked value of a rule: what kind it is, in what unit, and what it may be combined with."""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from state.rules import tree
from state.rules.features import FeatureSpec, Unit

Report = Callable[[ast.expr, str], None]
Kind = Literal["number", "text", "truth value", "list"]

KINDS: Final[dict[str, Kind]] = {
    "int": "number",
    "float": "number",
    "str": "text",
    "bool": "truth value",
    "list[str]": "list",
}
_PLAIN: Final = ("count", "score", "none")


@dataclass(frozen=True, slots=True)
class Operand:
    """A checked value, and what is known of it."""

    node: tree.Value
    kind: Kind
    unit: Unit = "none"

    @property
    def fixed(self) -> bool:
        """Whether it is the same for every customer."""
        return isinstance(self.node, tree.Const | tree.Asked)

    @property
    def plain(self) -> bool:
        """Whether it is a number that goes with any unit."""
        return self.unit in _PLAIN

    @property
    def moving(self) -> FeatureSpec | None:
        """The feature, if it is one that changes with every millisecond."""
        node = self.node
        return node.feature if isinstance(node, tree.Read) and node.feature.drift in ("age", "decay") else None


def snippet(node: ast.expr) -> str:
    """The text of a node for a message, shortened."""
    text = ast.unparse(node)
    return f"`{text}`" if len(text) <= 60 else f"`{text[:57]}...`"


def unit_clash(left: Operand, right: Operand) -> bool:
    """Whether two numbers must not be added to or compared with each other, such as cents and milliseconds."""
    return not left.plain and not right.plain and left.unit != right.unit


def unit_of(op: tree.ArithmeticOp, left: Operand, right: Operand) -> Unit:
    """The unit of a result, such as milliseconds for the difference of two times."""
    units = {left.unit, right.unit}
    if op in ("+", "-") and "epoch_ms" in units:
        return "epoch_ms" if "ms" in units or left.plain or right.plain else "ms"
    if op in ("/", "//"):
        return left.unit if right.plain and not left.plain else "none"
    if op == "*":
        named = [operand.unit for operand in (left, right) if not operand.plain]
        return named[0] if len(named) == 1 else "none"
    return left.unit if right.plain and not left.plain else "none" if right.plain else right.unit


def moving_rule(spec: FeatureSpec) -> str:
    """Why a feature that changes with every millisecond must stand alone."""
    if spec.drift == "decay":
        return (
            f"{spec.name} falls as time passes, so it can only be compared directly with a constant by < <= > >=, "
            f"such as `{spec.name} < 2`"
        )
    return (
        f"{spec.name} grows as time passes, so it can only be compared directly with a constant, "
        f"such as `{spec.name} <= days(30)`"
    )
