"""The checked form of a rule: a small tree that holds only what the language allows.

Everything after the check (compiler, wake-up atoms) works on this tree and never on the user's text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from state.rules.features import FeatureSpec

ArithmeticOp = Literal["+", "-", "*", "/", "//", "%"]
ComparisonOp = Literal["<", "<=", ">", ">=", "==", "!="]


@dataclass(frozen=True, slots=True)
class Const:
    """A number, a text or a truth value, already folded."""

    value: int | float | str | bool


@dataclass(frozen=True, slots=True)
class Read:
    """The value of a feature; as a condition, a feature that is true or false by itself."""

    feature: FeatureSpec


@dataclass(frozen=True, slots=True)
class Arith:
    """Arithmetic of two numbers; absent if one is absent or the result is no finite number."""

    op: ArithmeticOp
    left: "Value"
    right: "Value"


@dataclass(frozen=True, slots=True)
class Apply:
    """min, max, abs or neg of numbers; absent if one is absent."""

    function: Literal["min", "max", "abs", "neg"]
    args: tuple["Value", ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about the whole population, such as a percentile; only rules that wait contain one."""

    function: str
    args: tuple[str | int | float, ...]

    @property
    def text(self) -> str:
        """As a rule has it."""
        if self.function == "cluster":
            return f'cluster("{self.args[0]}")'
        return f"{self.function}({', '.join(map(str, self.args))})" if self.args else self.function


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison; False if a side is absent. A constant, if there is one, is on the right."""

    op: ComparisonOp
    left: "Value"
    right: "Value"


@dataclass(frozen=True, slots=True)
class Within:
    """`item in (…)` for a list of constants; False if the item is absent, negated or not."""

    item: "Value"
    options: tuple[int | float | str, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Contains:
    """`"text" in feature` for a feature that is a list of texts."""

    text: str
    feature: FeatureSpec
    negated: bool


@dataclass(frozen=True, slots=True)
class Present:
    """Whether a feature has a value."""

    feature: FeatureSpec


@dataclass(frozen=True, slots=True)
class Member:
    """Whether the customer is in another segment, as of the same moment."""

    segment: str


@dataclass(frozen=True, slots=True)
class Part:
    """A condition that is worked out elsewhere and comes as a truth value: the one of this number (division.py)."""

    number: int


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a condition."""

    part: "Condition"


@dataclass(frozen=True, slots=True)
class Every:
    """`and` of two or more conditions."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """`or` of two or more conditions."""

    parts: tuple["Condition", ...]


Value: TypeAlias = Const | Read | Arith | Apply | Asked
Condition: TypeAlias = Const | Read | Asked | Compare | Within | Contains | Present | Member | Part | Not | Every | Some
Node: TypeAlias = Value | Condition


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below one."""
    match node:
        case Arith(_, left, right) | Compare(_, left, right):
            return (left, right)
        case Apply(_, args):
            return args
        case Within(item, _, _):
            return (item,)
        case Not(part):
            return (part,)
        case Every(parts) | Some(parts):
            return parts
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """A node and all nodes below it, in the order they were written."""
    yield node
    for child in children(node):
        yield from walk(child)


def features_of(node: Node) -> Iterator[FeatureSpec]:
    """Every feature read below a node, with repetitions, in the order they were written."""
    for part in walk(node):
        if isinstance(part, Read | Contains | Present):
            yield part.feature


def asks_population(node: Node) -> bool:
    """Whether anything below a node asks about the whole population."""
    return any(isinstance(part, Asked) for part in walk(node))
