"""From checked rules to one Python function for the whole set.

The function is put together as a syntax tree from the checked tree: no text of a user is ever compiled. Its builtins
are empty; it can reach nothing but its arguments and the arithmetic helpers.

    def step(v, mask, free):
        f0, f1 = v
        out = mask & ~free               members whose minimum stay is not over stay in
        if f0 > 5:                       when = "orders_30d > 5"
            out |= 1
        if not f1 > 9 and (mask & 2 or f0 > 1):      enter = "orders_30d > 1", leave = "views_14d > 9"
            out |= 2
        return out
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from state.rules import tree
from state.rules.arithmetic import BINARY, FUNCTIONS
from state.rules.features import FeatureSpec

Step = Callable[[tuple[object, ...], int, int], int]
StayStep = Callable[[tuple[object, ...], int, int], tuple[int, int]]


class Rule(NamedTuple):
    """What the compiler needs of a segment: its bit, its conditions, and whether it has a minimum stay."""

    bit: int
    name: str
    enter: tree.Condition
    leave: tree.Condition | None
    stays: bool


class Compiled(NamedTuple):
    """`step` gives the new mask; `stay_step` also the members held by their minimum stay that would leave."""

    step: Step
    stay_step: StayStep


_COMPARISONS: Final[dict[tree.ComparisonOp, ast.cmpop]] = {
    "<": ast.Lt(),
    "<=": ast.LtE(),
    ">": ast.Gt(),
    ">=": ast.GtE(),
    "==": ast.Eq(),
    "!=": ast.NotEq(),
}
_HELPERS: Final[dict[str, Callable[..., object]]] = {
    **{f"_op{index}": function for index, function in enumerate(BINARY.values())},
    **{f"_{name}": function for name, function in FUNCTIONS.items()},
}
_OPERATOR_NAMES: Final = {op: f"_op{index}" for index, op in enumerate(BINARY)}
_WHOLE_OPERATORS: Final[dict[str, ast.operator]] = {"+": ast.Add(), "-": ast.Sub(), "*": ast.Mult()}


def compile_rules(
    rules: Sequence[Rule],
    reads: Sequence[str],
    asks: Sequence[tree.Asked] = (),
    parts: int = 0,
    others: Mapping[str, int] | None = None,
) -> Compiled:
    """Compile rules, given in an order in which each stands after those it refers to.

    `reads` names the features in the order in which their values will be handed over. Behind them come the answers to
    `asks`, None for one that nobody has, and the truth of so many `parts`. `others`: bits of segments that the rules
    refer to and that are none of them; they stay as they are where `free` is 0.
    """
    bits = {**(others or {}), **{rule.name: rule.bit for rule in rules}}
    generator = _Generator({name: 1 << bit for name, bit in bits.items()}, reads, asks, parts)
    module = ast.Module([generator.function(rules, stays=False), generator.function(rules, stays=True)], [])
    namespace: dict[str, object] = {"__builtins__": {}, **_HELPERS}
    code = compile(ast.fix_missing_locations(module), "<segment rules>", "exec")
    exec(code, namespace)  # noqa: S102 - made from the checked tree above, not from anyone's text
    step, stay_step = namespace["step"], namespace["stay_step"]
    return Compiled(step, stay_step)  # type: ignore[arg-type]  # both were just defined by the module


class _Generator:
    def __init__(self, bits: dict[str, int], reads: Sequence[str], asks: Sequence[tree.Asked], parts: int) -> None:
        self._bits = bits
        self._slots = {name: f"f{index}" for index, name in enumerate(reads)}
        self._answers = {asked: f"a{index}" for index, asked in enumerate(asks)}
        self._parts = [f"p{index}" for index in range(parts)]
        self._temporaries = 0

    def function(self, rules: Sequence[Rule], *, stays: bool) -> ast.FunctionDef:
        body = [*self._prologue(), *(self._statement(rule, stays=stays and rule.stays) for rule in rules)]
        if stays:
            body.insert(0, _assign("want", _const(0)))
            result: ast.expr = ast.Tuple([_load("out"), _load("want")], ast.Load())
        else:
            result = _load("out")
        return ast.FunctionDef(
            name="stay_step" if stays else "step",
            args=ast.arguments(
                posonlyargs=[],
                args=[ast.arg("v"), ast.arg("mask"), ast.arg("free")],
                kwonlyargs=[],
                kw_defaults=[],
                defaults=[],
            ),
            body=[*body, ast.Return(result)],
            decorator_list=[],
        )

    def _prologue(self) -> list[ast.stmt]:
        held = ast.BinOp(_load("mask"), ast.BitAnd(), ast.UnaryOp(ast.Invert(), _load("free")))
        statements: list[ast.stmt] = [_assign("out", held)]
        names = [*self._slots.values(), *self._answers.values(), *self._parts]
        if names:
            slots: list[ast.expr] = [ast.Name(name, ast.Store()) for name in names]
            statements.append(ast.Assign([ast.Tuple(slots, ast.Store())], _load("v")))
        return statements

    def _statement(self, rule: Rule, *, stays: bool) -> ast.stmt:
        mask = 1 << rule.bit
        condition = self._condition(rule.enter)
        if rule.leave is not None:
            remains = ast.UnaryOp(ast.Not(), self._condition(rule.leave))
            inside = ast.BoolOp(ast.Or(), [_bit("mask", mask), condition])
            condition = ast.BoolOp(ast.And(), [remains, inside])
        otherwise: list[ast.stmt] = [ast.If(_bit("out", mask), [_add("want", mask)], [])] if stays else []
        return ast.If(condition, [_add("out", mask)], otherwise)

    def _condition(self, node: tree.Condition) -> ast.expr:
        match node:
            case tree.Every(parts):
                return ast.BoolOp(ast.And(), [self._condition(part) for part in parts])
            case tree.Some(parts):
                return ast.BoolOp(ast.Or(), [self._condition(part) for part in parts])
            case tree.Not(part):
                return ast.UnaryOp(ast.Not(), self._condition(part))
            case tree.Member(segment):
                return _bit("out", self._bits[segment])
            case tree.Present(spec):
                return self._present(spec)
            case tree.Contains(text, spec, negated):
                listing = _load(self._slots[spec.name])
                op: ast.cmpop = ast.NotIn() if negated else ast.In()
                return self._guarded(tree.Read(spec), ast.Compare(_const(text), [op], [listing]))
            case tree.Within():
                return self._within(node)
            case tree.Compare():
                return self._compare(node)
            case tree.Part(number):
                return _load(self._parts[number])
            case tree.Read() | tree.Const() | tree.Asked():
                return self._value(node)

    def _present(self, spec: FeatureSpec) -> ast.expr:
        return _known(_load(self._slots[spec.name])) if spec.optional else _const(True)

    def _guarded(self, value: tree.Value, test: ast.expr) -> ast.expr:
        """A test of a feature that is False if the feature is absent."""
        if isinstance(value, tree.Read) and value.feature.optional:
            return ast.BoolOp(ast.And(), [_known(_load(self._slots[value.feature.name])), test])
        return test

    def _within(self, node: tree.Within) -> ast.expr:
        options = ast.Tuple([_const(option) for option in node.options], ast.Load())
        guards, item = self._settled(node.item)
        op: ast.cmpop = ast.NotIn() if node.negated else ast.In()
        return _all([*guards, ast.Compare(item, [op], [options])])

    def _compare(self, node: tree.Compare) -> ast.expr:
        left_guards, left = self._settled(node.left)
        right_guards, right = self._settled(node.right)
        return _all([*left_guards, *right_guards, ast.Compare(left, [_COMPARISONS[node.op]], [right])])

    def _settled(self, value: tree.Value) -> tuple[list[ast.expr], ast.expr]:
        """Tests that a value is known, and the value, computed once."""
        expression = self._value(value)
        if isinstance(value, tree.Read):
            return ([_known(expression)] if value.feature.optional else []), expression
        if isinstance(value, tree.Asked):
            return [_known(expression)], expression
        if isinstance(value, tree.Const) or _never_absent(value):
            return [], expression
        self._temporaries += 1
        name = f"t{self._temporaries}"
        return [_known(ast.NamedExpr(ast.Name(name, ast.Store()), expression))], _load(name)

    def _value(self, value: tree.Value) -> ast.expr:
        match value:
            case tree.Const(constant):
                return _const(constant)
            case tree.Read(spec):
                return _load(self._slots[spec.name])
            case tree.Arith(op, left, right):
                sides = [self._value(left), self._value(right)]
                if _never_absent(value):
                    return ast.BinOp(sides[0], _WHOLE_OPERATORS[op], sides[1])
                return ast.Call(_load(_OPERATOR_NAMES[op]), sides, [])
            case tree.Apply(function, args):
                return ast.Call(_load(f"_{function}"), [self._value(arg) for arg in args], [])
            case tree.Asked():
                return _load(self._answers[value])


def _never_absent(value: tree.Value) -> bool:
    """Whether a value is a whole number for certain: whole numbers have no overflow, so nothing can go missing."""
    match value:
        case tree.Const(constant):
            return isinstance(constant, int)
        case tree.Read(spec):
            return spec.type == "int" and not spec.optional
        case tree.Arith(op, left, right):
            return op in _WHOLE_OPERATORS and _never_absent(left) and _never_absent(right)
        case _:
            return False


def _load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _const(value: int | float | str | bool) -> ast.Constant:
    return ast.Constant(value)


def _assign(name: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(name, ast.Store())], value)


def _add(name: str, mask: int) -> ast.stmt:
    return ast.AugAssign(ast.Name(name, ast.Store()), ast.BitOr(), _const(mask))


def _bit(name: str, mask: int) -> ast.expr:
    return ast.BinOp(_load(name), ast.BitAnd(), _const(mask))


def _known(expression: ast.expr) -> ast.expr:
    return ast.Compare(expression, [ast.IsNot()], [ast.Constant(None)])


def _all(parts: list[ast.expr]) -> ast.expr:
    return parts[0] if len(parts) == 1 else ast.BoolOp(ast.And(), parts)
