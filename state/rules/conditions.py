"""Check of the conditions in a rule: comparisons, membership, presence, and how they are joined."""

import ast
from typing import Final

from state.rules import tree
from state.rules.features import FEATURES
from state.rules.operand import Operand, Report, moving_rule, snippet, unit_clash
from state.rules.operands import Operands
from state.rules.suggest import did_you_mean

_COMPARISONS: Final[dict[type[ast.cmpop], tree.ComparisonOp]] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_MIRRORED: Final[dict[tree.ComparisonOp, tree.ComparisonOp]] = {
    "<": ">",
    "<=": ">=",
    ">": "<",
    ">=": "<=",
    "==": "==",
    "!=": "!=",
}


class Conditions:
    """Turns syntax into a checked condition; reports each fault and returns None for what is faulty."""

    def __init__(self, segments: frozenset[str], report: Report) -> None:
        self._segments = segments
        self._report = report
        self._operands = Operands(report)
        self.references: list[tuple[str, ast.expr]] = []
        """Every segment() with the node that names it."""

    def check(self, node: ast.expr) -> tree.Condition | None:
        """Check a condition."""
        match node:
            case ast.BoolOp(op=op, values=values):
                return self._joined(values, every=isinstance(op, ast.And))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                part = self.check(operand)
                return None if part is None else tree.Not(part)
            case ast.Compare():
                return self._chain(node)
            case ast.Call(func=ast.Name(id="segment")):
                return self._member(node)
            case ast.Call(func=ast.Name(id="absent" | "present" as name)):
                return self._presence(node, name)
            case ast.Call(func=ast.Name(id="cluster")):
                return self._cluster(node)
            case _:
                return self._truth(node)

    def _joined(self, values: list[ast.expr], *, every: bool) -> tree.Condition | None:
        checked = [self.check(value) for value in values]
        parts = tuple(part for part in checked if part is not None)
        if len(parts) < len(checked):
            return None
        return tree.Every(parts) if every else tree.Some(parts)

    def _truth(self, node: ast.expr) -> tree.Condition | None:
        """A value that is a condition by itself."""
        operand = self._operands.value(node)
        if operand is None:
            return None
        if operand.kind == "truth value" and isinstance(operand.node, tree.Const | tree.Read):
            return operand.node
        self._report(node, f"{snippet(node)} is a {operand.kind}, no condition: compare it, such as `orders_30d > 5`")
        return None

    def _chain(self, node: ast.Compare) -> tree.Condition | None:
        sides = [node.left, *node.comparators]
        links = [self._link(node, left, op, right) for left, op, right in zip(sides, node.ops, sides[1:], strict=False)]
        parts = tuple(part for part in links if part is not None)
        if len(parts) < len(links):
            return None
        return parts[0] if len(parts) == 1 else tree.Every(parts)

    def _link(self, node: ast.Compare, left: ast.expr, op: ast.cmpop, right: ast.expr) -> tree.Condition | None:
        if isinstance(op, ast.In | ast.NotIn):
            return self._membership(left, right, negated=isinstance(op, ast.NotIn))
        name = _COMPARISONS.get(type(op))
        if name is None:
            self._report(node, f"{snippet(node)}: write == or != instead of is")
            return None
        first, second = self._operands.value(left), self._operands.value(right)
        if first is None or second is None:
            return None
        fault = _comparison_fault(name, (left, first), (right, second))
        if fault is not None:
            self._report(node, fault)
            return None
        if first.fixed and not second.fixed:
            first, second, name = second, first, _MIRRORED[name]
        return _compared(name, first, second)

    def _membership(self, left: ast.expr, right: ast.expr, *, negated: bool) -> tree.Condition | None:
        if isinstance(right, ast.Tuple | ast.List):
            return self._within(left, right, negated=negated)
        listing = self._operands.value(right)
        item = self._operands.value(left)
        if listing is None or item is None:
            return None
        if not isinstance(listing.node, tree.Read) or listing.kind != "list":
            self._report(right, 'after `in` stands top_categories or a list, such as `device in ("mobile", "tablet")`')
            return None
        if not isinstance(item.node, tree.Const) or not isinstance(item.node.value, str):
            self._report(left, f'before `in {listing.node.feature.name}` stands a text, such as "shoes"')
            return None
        return tree.Contains(item.node.value, listing.node.feature, negated)

    def _within(self, left: ast.expr, right: ast.Tuple | ast.List, *, negated: bool) -> tree.Condition | None:
        item = self._operands.value(left)
        options = [self._operands.value(option) for option in right.elts]
        known = [option for option in options if option is not None]
        if item is None or len(known) < len(options):
            return None
        if not known or item.kind not in ("number", "text") or isinstance(item.node, tree.Const):
            self._report(left, f'{snippet(left)} in a list: write it as `device in ("mobile", "tablet")`')
            return None
        if item.moving is not None:
            self._report(left, moving_rule(item.moving))
            return None
        constants: list[int | float | str] = []
        for option, written in zip(known, right.elts, strict=True):
            if not isinstance(option.node, tree.Const):
                self._report(written, f"{snippet(written)} is no constant: a list holds only constants")
                return None
            fault = _comparison_fault("==", (left, item), (written, option))
            if fault is not None:
                self._report(written, fault)
                return None
            constants.append(option.node.value)
        return tree.Within(item.node, tuple(constants), negated)

    def _member(self, node: ast.Call) -> tree.Condition | None:
        name = self._text_argument(node, "segment", "high-value")
        if name is None:
            return None
        if name not in self._segments:
            self._report(node, f'there is no segment "{name}"{did_you_mean(name, self._segments)}')
            return None
        self.references.append((name, node))
        return tree.Member(name)

    def _cluster(self, node: ast.Call) -> tree.Condition | None:
        name = self._text_argument(node, "cluster", "bargain hunters")
        return None if name is None else tree.Asked("cluster", (name,))

    def _text_argument(self, node: ast.Call, function: str, example: str) -> str | None:
        args = self._operands.arguments(node, function, 1)
        if args is None:
            return None
        if not isinstance(args[0], ast.Constant) or not isinstance(args[0].value, str):
            self._report(args[0], f'{function}() takes a name in quotes, such as {function}("{example}")')
            return None
        return args[0].value

    def _presence(self, node: ast.Call, name: str) -> tree.Condition | None:
        args = self._operands.arguments(node, name, 1)
        spec = self._operands.feature(args[0], function=name) if args else None
        if spec is None:
            return None
        present = tree.Present(FEATURES[spec.name])
        return present if name == "present" else tree.Not(present)


def _compared(op: tree.ComparisonOp, left: Operand, right: Operand) -> tree.Compare:
    node = right.node
    if left.moving is not None and left.moving.drift == "decay" and isinstance(node, tree.Const):
        return tree.Compare(op, left.node, tree.Const(float(node.value)))
    return tree.Compare(op, left.node, node)


def _comparison_fault(
    op: tree.ComparisonOp, left: tuple[ast.expr, Operand], right: tuple[ast.expr, Operand]
) -> str | None:
    (left_text, first), (right_text, second) = left, right
    if isinstance(first.node, tree.Const) and isinstance(second.node, tree.Const):
        return f"{snippet(left_text)} and {snippet(right_text)} are both constants: this is always the same"
    if "list" in (first.kind, second.kind):
        return 'a list can only be asked what is in it, such as `"shoes" in top_categories`'
    if first.kind != second.kind:
        return (
            f"{snippet(left_text)} is a {first.kind} and {snippet(right_text)} is a {second.kind}: they never compare"
        )
    if first.kind != "number":
        return None if op in ("==", "!=") else f"a {first.kind} can only be compared by == and !="
    for operand, other in ((first, second), (second, first)):
        fault = _moving_fault(op, operand, other) or _money_fault(operand, other)
        if fault is not None:
            return fault
    if unit_clash(first, second):
        return f"{snippet(left_text)} is in {first.unit} and {snippet(right_text)} in {second.unit}: they never compare"
    return None


def _moving_fault(op: tree.ComparisonOp, operand: Operand, other: Operand) -> str | None:
    spec = operand.moving
    if spec is None or (other.fixed and (spec.drift == "age" or op not in ("==", "!="))):
        return None
    return moving_rule(spec)


def _money_fault(operand: Operand, other: Operand) -> str | None:
    if operand.unit != "cents" or not isinstance(other.node, tree.Const) or not isinstance(other.node.value, float):
        return None
    amount = other.node.value
    return f"money is in whole minor units: in a currency with cents, write {round(amount * 100)} for {amount}"
