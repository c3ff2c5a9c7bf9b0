"""A second, slow reading of the rule language, written apart from the compiler: tests compare the two.

It walks Python's own syntax tree with a dict of values, one node at a time, and knows nothing of types or units.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite

OPERATORS: dict[type, Callable] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda item, listing: item in listing,
    ast.NotIn: lambda item, listing: item not in listing,
}
DAY_MS = 24 * 60 * 60 * 1000
SPANS = {"days": DAY_MS, "hours": DAY_MS // 24, "minutes": DAY_MS // 1440}


def interpret(text: str, values: Mapping[str, object], is_member: Callable[[str], bool]) -> object:
    """Value of an expression; None is absent."""
    return _value(ast.parse(f"({text})", mode="eval").body, values, is_member)


def _value(node: ast.expr, values: Mapping[str, object], is_member: Callable[[str], bool]) -> object:
    def value(inner: ast.expr) -> object:
        return _value(inner, values, is_member)

    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return values[node.id]
        case ast.Tuple():
            return tuple(value(item) for item in node.elts)
        case ast.BoolOp():
            results = [value(part) for part in node.values]
            return all(results) if isinstance(node.op, ast.And) else any(results)
        case ast.UnaryOp(op=ast.Not()):
            return not value(node.operand)
        case ast.UnaryOp(op=ast.USub()):
            number = value(node.operand)
            return None if number is None else -number
        case ast.BinOp():
            return _arithmetic(OPERATORS[type(node.op)], value(node.left), value(node.right))
        case ast.Compare():
            sides = [value(side) for side in (node.left, *node.comparators)]
            return all(
                left is not None and right is not None and OPERATORS[type(op)](left, right)
                for left, op, right in zip(sides, node.ops, sides[1:], strict=False)
            )
        case ast.Call(func=ast.Name(id="segment")):
            return is_member(node.args[0].value)
        case ast.Call(func=ast.Name(id="percentile" | "quartile" | "cluster")):
            return values[ast.unparse(node)]  # what the population answers
        case ast.Call():
            return _call(node.func.id, [value(arg) for arg in node.args])
    raise AssertionError(ast.dump(node))


def _arithmetic(function: Callable, left: object, right: object) -> object:
    if left is None or right is None:
        return None
    try:
        result = function(left, right)
    except (ZeroDivisionError, OverflowError):
        return None
    return result if isinstance(result, int) or isfinite(result) else None


def _call(name: str, args: list) -> object:
    if name in SPANS:
        return round(args[0] * SPANS[name])
    if name in ("absent", "present"):
        return (args[0] is None) == (name == "absent")
    if None in args:
        return None
    return {"min": min, "max": max, "abs": abs}[name](*args)


@dataclass
class NaiveSegment:
    """A segment as text; `leave` None: leaves when `enter` is no longer true."""

    name: str
    enter: str
    leave: str | None
    stay_ms: int


class NaiveRules:
    """Steps a set of members by the words of the documentation."""

    def __init__(self, segments: list[NaiveSegment]) -> None:
        self.segments = {segment.name: segment for segment in segments}

    def step(self, values: Mapping[str, object], members: set[str], held: set[str]) -> tuple[set[str], set[str]]:
        """The new members, and those held back who would leave."""
        after: dict[str, bool] = {}
        wanting: set[str] = set()

        def is_member(name: str) -> bool:
            if name not in after:
                segment = self.segments[name]
                enter = bool(interpret(segment.enter, values, is_member))
                leave = not enter if segment.leave is None else bool(interpret(segment.leave, values, is_member))
                if name not in members:
                    after[name] = enter and not leave
                else:
                    after[name] = not leave or name in held
                    if leave and name in held:
                        wanting.add(name)
            return after[name]

        return {name for name in self.segments if is_member(name)}, wanting
