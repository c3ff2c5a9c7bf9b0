"""Lines that must be rejected, each with the reason it must be rejected for."""

from collections.abc import Callable

from jobs.simulation.draws import Draw
from schemas.rejects import Reason

_CUSTOMER = '"customer_id":"c000001"'
_PRODUCT = '"product_id":"p00001"'


def _event(number: int, time_ms: object, members: str, kind: str = "product_viewed") -> str:
    """A well-formed event but for what is done to it."""
    return f'{{"event_id":"bad-{number:x}","type":"{kind}","timestamp":{time_ms},{members}}}'


_TEMPLATES: tuple[tuple[Reason, tuple[Callable[[int, int], str | bytes], ...]], ...] = (
    (
        Reason.MALFORMED_JSON,
        (
            lambda n, t: _event(n, t, f"{_CUSTOMER},{_PRODUCT}")[:-7],
            lambda n, t: _event(n, t, f"{_CUSTOMER},{_PRODUCT},"),
            lambda n, t: _event(n, t, f"{_CUSTOMER},{_PRODUCT}").replace('"', "'"),
            lambda n, t: f"INFO {t} request {n} served",
        ),
    ),
    (Reason.INVALID_UTF8, (lambda n, t: _event(n, t, f'{_CUSTOMER},"product_id":"café"').encode("latin-1"),)),
    (Reason.INVALID_UNICODE, (lambda n, t: _event(n, t, f'"customer_id":"c\\ud83d",{_PRODUCT}'),)),
    (Reason.NOT_AN_OBJECT, (lambda n, t: f"[{n},{t}]", lambda n, _: str(n), lambda _, t: f'"{t}"', lambda *_: "null")),
    (
        Reason.MISSING_FIELD,
        (
            lambda n, t: _event(n, t, _CUSTOMER),
            lambda n, t: f'{{"event_id":"bad-{n:x}","type":"product_viewed",{_CUSTOMER},{_PRODUCT}}}',
            lambda n, t: _event(n, t, f'{_CUSTOMER},"products":[],"total":5', "order_completed"),
        ),
    ),
    (
        Reason.WRONG_TYPE,
        (
            lambda n, t: _event(n, t, f'{_CUSTOMER},"product_id":17'),
            lambda n, t: _event(n, t, f'{_CUSTOMER},{_PRODUCT},"context":"mobile"'),
        ),
    ),
    (Reason.UNKNOWN_TYPE, (lambda n, t: _event(n, t, _CUSTOMER, "page_scrolled"),)),
    (
        Reason.NO_SUBJECT,
        (lambda n, t: _event(n, t, _PRODUCT), lambda n, t: _event(n, t, f'"customer_id":"",{_PRODUCT}')),
    ),
    (Reason.EMPTY_EVENT_ID, (lambda n, t: _event(n, t, f"{_CUSTOMER},{_PRODUCT}").replace(f"bad-{n:x}", ""),)),
    (Reason.INVALID_ID, (lambda n, t: _event(n, t, f'"customer_id":"c\\u0000{n}",{_PRODUCT}'),)),
    (Reason.ID_TOO_LONG, (lambda n, t: _event(n, t, f'"customer_id":"{"c" * 600}",{_PRODUCT}'),)),
    (
        Reason.INVALID_TIMESTAMP,
        (
            lambda n, t: _event(n, '"yesterday"', f"{_CUSTOMER},{_PRODUCT}"),
            lambda n, t: _event(n, '"2025-03-01T10:00:00"', f"{_CUSTOMER},{_PRODUCT}"),
        ),
    ),
    (Reason.TIMESTAMP_TOO_OLD, (lambda n, t: _event(n, t // 1_000_000, f"{_CUSTOMER},{_PRODUCT}"),)),
    (Reason.TIMESTAMP_IN_FUTURE, (lambda n, t: _event(n, t * 20, f"{_CUSTOMER},{_PRODUCT}"),)),
    (
        Reason.INVALID_QUANTITY,
        (
            lambda n, t: _event(n, t, f'{_CUSTOMER},{_PRODUCT},"quantity":-1', "product_added"),
            lambda n, t: _event(n, t, f'{_CUSTOMER},{_PRODUCT},"quantity":0', "product_added"),
        ),
    ),
    (
        Reason.INVALID_AMOUNT,
        (
            lambda n, t: _event(n, t, f'{_CUSTOMER},{_PRODUCT},"price":-4.99'),
            lambda n, t: _event(n, t, f'{_CUSTOMER},{_PRODUCT},"price":"NaN"'),
            lambda n, t: _event(n, t, f'{_CUSTOMER},{_PRODUCT},"price":"1e400"'),
        ),
    ),
    (
        Reason.CURRENCY_UNKNOWN,
        (
            lambda n, t: _event(
                n, t, f'{_CUSTOMER},"order_id":"o-{n}","products":[],"total":5,"currency":"XTS"', "order_completed"
            ),
        ),
    ),
)  # fmt: skip
TOO_LARGE_BYTES = 1 << 20


def malformed_line(number: int, time_ms: int, draw: Draw) -> tuple[Reason, bytes]:
    """A line that must be rejected, and why; the first of a log is one longer than a record may be."""
    if number == 1:
        return Reason.RECORD_TOO_LARGE, _event(
            number, time_ms, f'{_CUSTOMER},{_PRODUCT},"padding":"{"x" * TOO_LARGE_BYTES}"'
        ).encode()
    reason, makers = _TEMPLATES[int(draw() * len(_TEMPLATES))]
    line = makers[int(draw() * len(makers))](number, time_ms)
    return reason, line if isinstance(line, bytes) else line.encode()
