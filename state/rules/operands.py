"""Check of the values in a rule: numbers, texts, features, arithmetic and the functions that make numbers."""

import ast
import re
from typing import Final, Literal

from state.rules import arithmetic, tree
from state.rules.features import FEATURES, POPULATION_SCORES, PROPENSITIES, WINDOW_DAYS, FeatureSpec, Unit
from state.rules.language import MAX_NUMBER
from state.rules.operand import KINDS, Operand, Report, moving_rule, snippet, unit_clash, unit_of
from state.rules.suggest import did_you_mean

DURATIONS: Final = {"days": 86_400_000, "hours": 3_600_000, "minutes": 60_000}
NUMBER_FUNCTIONS: Final = ("min", "max", "abs")
POPULATION_NUMBERS: Final = ("percentile", "quartile")
CONDITION_FUNCTIONS: Final = ("segment", "absent", "present", "cluster")
SCORES: Final = (*POPULATION_SCORES, *PROPENSITIES)
FUNCTIONS: Final = (*DURATIONS, *NUMBER_FUNCTIONS, *POPULATION_NUMBERS, *CONDITION_FUNCTIONS)

_OPERATORS: Final[dict[type[ast.operator], tree.ArithmeticOp]] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
}


class Operands:
    """Turns syntax into checked values; reports each fault and returns None for what is faulty."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def value(self, node: ast.expr) -> Operand | None:
        """Check a value."""
        match node:
            case ast.Constant(value=constant):
                return self._constant(node, constant)
            case ast.Name(id=name):
                return self._name(node, name)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
                return self._signed(node, operand, negative=isinstance(node.op, ast.USub))
            case ast.BinOp():
                return self._arithmetic(node)
            case ast.Call():
                return self._call(node)
            case _:
                self._report(node, _why_not_a_value(node))
                return None

    def feature(self, node: ast.expr, *, function: str) -> FeatureSpec | None:
        """Check the argument of a function that takes a feature: its name, quoted or not."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value
        elif isinstance(node, ast.Name):
            name = node.id
        else:
            self._report(node, f"{function}() takes the name of a feature, such as {function}(average_order_cents)")
            return None
        if name in SCORES:
            self._report(
                node, f"{name} is a score, no feature: {function}() does not take it; compare it with a number"
            )
        elif name not in FEATURES:
            self._report(node, _unknown_feature(name))
        return FEATURES.get(name)

    def arguments(self, node: ast.Call, function: str, count: int) -> list[ast.expr] | None:
        """The arguments of a call if they are as many as they have to be."""
        if node.keywords or any(isinstance(arg, ast.Starred) for arg in node.args) or len(node.args) != count:
            self._report(node, f"{function}() takes {count} argument{'s' if count > 1 else ''}, without names")
            return None
        return node.args

    def _constant(self, node: ast.expr, constant: object) -> Operand | None:
        if isinstance(constant, bool):
            return Operand(tree.Const(constant), "truth value")
        if isinstance(constant, str):
            return Operand(tree.Const(constant), "text")
        if isinstance(constant, int | float):
            return self._folded(node, constant, "none")
        self._report(node, f"{snippet(node)} is no number and no text")
        return None

    def _folded(self, node: ast.expr, number: int | float | None, unit: Unit) -> Operand | None:
        if number is None:
            self._report(node, f"{snippet(node)} divides by zero")
            return None
        if not abs(number) <= MAX_NUMBER:
            self._report(node, f"a constant may be at most 2**53 ({MAX_NUMBER})")
            return None
        return Operand(tree.Const(number), "number", unit)

    def _name(self, node: ast.expr, name: str) -> Operand | None:
        if name in SCORES:
            return Operand(tree.Asked(name, ()), "number")
        spec = FEATURES.get(name)
        if spec is None:
            self._report(node, _unknown_feature(name))
            return None
        return Operand(tree.Read(spec), KINDS[spec.type], spec.unit)

    def _number(self, node: ast.expr, doing: str) -> Operand | None:
        """A value that takes part in arithmetic."""
        operand = self.value(node)
        if operand is None:
            return None
        if operand.kind != "number":
            self._report(node, f"{snippet(node)} is a {operand.kind}: {doing} takes numbers")
            return None
        if operand.moving is not None:
            self._report(node, moving_rule(operand.moving))
            return None
        return operand

    def _signed(self, node: ast.expr, inner: ast.expr, *, negative: bool) -> Operand | None:
        operand = self._number(inner, "a sign")
        if operand is None or not negative:
            return operand
        if isinstance(operand.node, tree.Const) and not isinstance(operand.node.value, str):
            return self._folded(node, -operand.node.value, operand.unit)
        return Operand(tree.Apply("neg", (operand.node,)), "number", operand.unit)

    def _arithmetic(self, node: ast.BinOp) -> Operand | None:
        op = _OPERATORS.get(type(node.op))
        if op is None:
            self._report(node, f"{snippet(node)}: of arithmetic there are + - * / // %")
            return None
        left, right = self._number(node.left, op), self._number(node.right, op)
        if left is None or right is None:
            return None
        if op in ("+", "-", "%") and unit_clash(left, right) and {left.unit, right.unit} != {"epoch_ms", "ms"}:
            self._report(node, f"{snippet(node)} mixes {left.unit} with {right.unit}")
            return None
        if op in ("/", "//", "%") and right.node == tree.Const(0):
            self._report(node, f"{snippet(node)} divides by zero")
            return None
        unit = unit_of(op, left, right)
        if isinstance(left.node, tree.Const) and isinstance(right.node, tree.Const):
            numbers = [c.value for c in (left.node, right.node) if not isinstance(c.value, str)]
            return self._folded(node, arithmetic.BINARY[op](*numbers), unit)
        return Operand(tree.Arith(op, left.node, right.node), "number", unit)

    def _call(self, node: ast.Call) -> Operand | None:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in DURATIONS:
            return self._duration(node, name)
        if name in NUMBER_FUNCTIONS:
            return self._applied(node, name)
        if name in POPULATION_NUMBERS:
            return self._population(node, name)
        if name in CONDITION_FUNCTIONS:
            self._report(node, f"{name}() is a condition: join it with and, or, not instead of comparing it")
        elif name:
            self._report(node, f'there is no function "{name}"{did_you_mean(name, FUNCTIONS)}')
        else:
            self._report(node, f"{snippet(node)}: only the functions of the rule language can be called")
        return None

    def _duration(self, node: ast.Call, name: str) -> Operand | None:
        args = self.arguments(node, name, 1)
        operand = self._number(args[0], f"{name}()") if args else None
        if operand is None:
            return None
        constant = operand.node
        if not isinstance(constant, tree.Const) or isinstance(constant.value, str) or constant.value < 0:
            self._report(node, f"{name}() takes a number that is not negative, such as {name}(7)")
            return None
        return self._folded(node, round(constant.value * DURATIONS[name]), "ms")

    def _applied(self, node: ast.Call, name: str) -> Operand | None:
        if name == "abs":
            if self.arguments(node, name, 1) is None:
                return None
        elif node.keywords or len(node.args) < 2 or any(isinstance(arg, ast.Starred) for arg in node.args):
            self._report(node, f"{name}() takes two or more numbers")
            return None
        operands = [self._number(arg, f"{name}()") for arg in node.args]
        known = [operand for operand in operands if operand is not None]
        if len(known) < len(operands):
            return None
        for other in known[1:]:
            if unit_clash(known[0], other):
                self._report(node, f"{snippet(node)} mixes {known[0].unit} with {other.unit}")
                return None
        unit: Unit = next((operand.unit for operand in known if not operand.plain), "none")
        numbers = [o.node.value for o in known if isinstance(o.node, tree.Const) and not isinstance(o.node.value, str)]
        if len(numbers) == len(known):
            return self._folded(node, arithmetic.FUNCTIONS[name](*numbers), unit)
        function: Literal["min", "max", "abs"] = "abs" if name == "abs" else "min" if name == "min" else "max"
        return Operand(tree.Apply(function, tuple(operand.node for operand in known)), "number", unit)

    def _population(self, node: ast.Call, name: str) -> Operand | None:
        args = self.arguments(node, name, 2 if name == "percentile" else 1)
        spec = self.feature(args[0], function=name) if args else None
        if args is None or spec is None:
            return None
        if not spec.numeric:
            self._report(args[0], f"{name}() takes a feature that is a number; {spec.name} is a {KINDS[spec.type]}")
            return None
        if name == "quartile":
            return Operand(tree.Asked(name, (spec.name,)), "number")
        rank = self._number(args[1], "percentile()")
        if rank is None:
            return None
        if not isinstance(rank.node, tree.Const) or isinstance(rank.node.value, str) or not 0 < rank.node.value < 100:
            self._report(
                args[1], f"the rank of percentile() lies between 0 and 100, such as percentile({spec.name}, 80)"
            )
            return None
        return Operand(tree.Asked(name, (spec.name, rank.node.value)), "number", spec.unit)


def _unknown_feature(name: str) -> str:
    hint = did_you_mean(name, (*FEATURES, *SCORES, "True", "False"))
    if name in FUNCTIONS:
        return f'"{name}" is a function: write {name}(…)'
    window = re.search(r"_(\d{1,9})d\b|_(\d{1,9})d_", name)
    if window is None or int(window[1] or window[2]) in WINDOW_DAYS:
        return f'unknown feature "{name}"{hint}'
    return f'unknown feature "{name}"{hint} (windows: {", ".join(map(str, WINDOW_DAYS))} days)'


def _why_not_a_value(node: ast.expr) -> str:
    match node:
        case ast.UnaryOp(op=ast.Invert()):
            return f"{snippet(node)}: of arithmetic there are + - * / // %"
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp():
            return f"{snippet(node)} is a condition: join conditions with and, or, not instead of comparing them"
        case ast.Tuple() | ast.List() | ast.Set():
            return 'a list can only stand after `in`, such as `device in ("mobile", "tablet")`'
        case ast.IfExp():
            return "there is no if-else in rules: write `(a and b) or (not a and c)`"
        case ast.Attribute() | ast.Subscript():
            return f"{snippet(node)}: features have no parts; rules know no dots and no square brackets"
        case _:
            return f"{type(node).__name__} is not part of the rule language"
