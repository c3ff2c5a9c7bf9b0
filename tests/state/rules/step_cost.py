"""Prints what the shipped rules cost per evaluation: `python tests/state/rules/step_cost.py`."""

import timeit
from collections.abc import Callable

from state.rules.features import FEATURES
from state.rules.membership import Membership
from state.rules.ruleset import load_rules

SAMPLES = {"int": 3, "float": 1.5, "str": "mobile", "bool": True, "list[str]": ("shoes",)}
CALLS = 200_000


def cost_us(call: Callable[[], object]) -> float:
    """Microseconds of one call, the best of five rounds."""
    return min(timeit.repeat(call, number=CALLS, repeat=5)) / CALLS * 1e6


def main() -> None:
    """Measure a customer with every feature, and one with as few as can be."""
    start = timeit.default_timer()
    rules = load_rules()
    print(f"load and compile {len(rules.segments)} segments: {(timeit.default_timer() - start) * 1e3:.1f} ms")
    full = tuple(SAMPLES[FEATURES[name].type] for name in rules.reads)
    bare = tuple(None if FEATURES[n].optional else value for n, value in zip(rules.reads, full, strict=True))
    for label, values in (("all features present", full), ("optional ones absent", bare)):
        membership = Membership(rules)
        membership.evaluate(values, 0)
        step = cost_us(lambda values=values: rules.step(values, 0, -1))
        evaluate = cost_us(lambda values=values, membership=membership: membership.evaluate(values, 1))
        print(f"{label}: step {step:.2f} µs, evaluate without a change {evaluate:.2f} µs")
    low = rules.bit_of["low-engagement"]
    held = Membership(rules)
    held.evaluate(tuple(0.5 if name == "engagement" else 7 * 86_400_000 for name in rules.reads), 0)
    assert held.mask >> low & 1, "the sample customer is meant to have low engagement"
    print(f"evaluate with a minimum stay running: {cost_us(lambda: held.evaluate(full, 1)):.2f} µs")
    print(f"pack {cost_us(held.to_packed):.2f} µs, unpack", end=" ")
    packed = held.to_packed()
    print(f"{cost_us(lambda: Membership.from_packed(rules, packed)):.2f} µs")


if __name__ == "__main__":
    main()
