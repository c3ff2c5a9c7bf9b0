"""All features of all customers as of a moment, in one batch of SQL: an opinion of its own beside `plain.py`.

SQL does everything but two folds that it has no words for: carts, and interests of customers with so many
categories that the least ones are forgotten.
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb

WINDOW_DAYS = (1, 7, 14, 30, 90)
EXPONENTS = {"JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0, "VND": 0, "KWD": 3, "BHD": 3, "OMR": 3, "TND": 3, "JOD": 3}
KEPT_CATEGORIES, KEPT_PRODUCTS = 20, 50

_EVENTS = """
create macro cents(amount) as (
    with scaled(x) as (select cast(amount as decimal(38, 12)) * $unit),
         parts(f, rest) as (select floor(x), x - floor(x) from scaled)
    select cast(f + case when rest > 0.5 or (rest = 0.5 and f % 2 = 1) then 1 else 0 end as bigint) from parts
);
create macro stamp(text) as coalesce(
    try_cast(text as bigint),
    epoch_ms(cast(regexp_replace(upper(text), '(\\.\\d{1,3})\\d*', '\\1') as timestamptz))
);
create table parsed as
select row_number() over () as n,
    coalesce(nullif(j->>'customer_id', ''), j->>'anonymous_id') as subject,
    j->>'event_id' as id, j->>'type' as type, stamp(j->>'timestamp') as t, j->>'session_id' as session_id,
    j->>'product_id' as product, j->>'category' as category, cast(j->>'quantity' as bigint) as quantity,
    j->>'order_id' as order_id, j->>'total' as total, j->'products' as products,
    case j->'purposes'->>'personalization' when 'true' then true when 'false' then false end as personalization,
    j->'context'->>'device' as device, j->'context'->>'location' as location, j->'context'->>'channel' as channel
from (select json as j from read_ndjson_objects('$file'));

create table distinct_events as
select * from parsed where t <= $now
qualify row_number() over (partition by subject, id order by n) = 1;

-- the newest erasure and all before it is as if it had never been
create table remaining as
with erasure as (
    select subject, max((t, id)) as upto from distinct_events where type = 'erase' group by subject)
select e.* from distinct_events e left join erasure using (subject)
where upto is null or (e.t, e.id) > upto;

create table ev as
with consents as (
    select *, last_value(personalization ignore nulls) over (
        partition by subject order by t, id rows between unbounded preceding and 1 preceding) as before
    from remaining)
select * exclude (before), row_number() over (partition by subject order by t, id) as i
from consents where type = 'consent' or coalesce(before, true);
"""

_ACTIVITY = """
create table activity as
select subject, min(t) as first_seen_ms, max(t) as last_seen_ms,
    sum(power(2.0, (t - $now) / (7 * 86400000.0)) * case type
        when 'product_viewed' then 1 when 'product_clicked' then 1 when 'products_searched' then 1
        when 'wishlist_added' then 2 when 'product_added' then 3 when 'checkout_started' then 4
        when 'order_completed' then 8 when 'recommendation_clicked' then 1 else 0 end) as engagement,
    last(device order by i) filter (device is not null) as device,
    last(location order by i) filter (location is not null) as location,
    last(channel order by i) filter (channel is not null) as channel,
    $counts
from ev group by subject;

-- an event without an id follows the nearest event before it that has one, or that began anew after half an hour
create table sessions as
with gaps as (
    select subject, i, t, session_id,
        session_id is not null or t - lag(t, 1, -1e15::bigint) over (partition by subject order by i) > 1800000 as leads
    from ev),
anchored as (
    select *, max(case when leads then i end) over (partition by subject order by i) as anchor from gaps),
named as (
    select a.subject, a.i, a.t, coalesce('id ' || b.session_id, 'at ' || a.anchor) as name
    from anchored a join anchored b on a.subject = b.subject and b.i = a.anchor),
numbered as (
    select *, coalesce(t - lag(t) over (partition by subject, name order by i) > 86400000, false) as anew from named),
parts as (
    select *, sum(anew::int) over (partition by subject, name order by i) as part from numbered)
select subject, name, part, min(t) as first_t, max(t) as last_t from parts group by all;

create table session_features as select subject, $sessions from sessions group by subject;
"""

_ORDERS = """
create table orders as
select subject, order_id, t, i, total, products from ev where type = 'order_completed'
qualify row_number() over (partition by subject, order_id order by i) = 1;

create table order_lines as
select subject, order_id, k, p->>'product_id' as product, p->>'category' as category,
    coalesce(cast(p->>'quantity' as bigint), 1) as quantity, cents(p->>'price') as price
from (select subject, order_id, unnest(from_json(products, '["json"]')) as p,
        generate_subscripts(from_json(products, '["json"]'), 1) as k from orders);

create table order_products as
select subject, order_id, product, sum(quantity) as units,
    first(price order by k) filter (price is not null) as price
from order_lines group by all;

create table amounts as
select o.subject, o.order_id, o.t,
    coalesce(cents(any_value(o.total)), sum(l.quantity * coalesce(l.price, 0)), 0) as amount
from orders o left join order_lines l using (subject, order_id) group by o.subject, o.order_id, o.t;

create table refunds as
select subject, order_id, i, t, cents(total) as total, products,
    coalesce(json_array_length(products), 0) > 0 as detailed
from ev where type in ('order_refunded', 'order_cancelled');

create table refund_lines as
select subject, order_id, i, p->>'product_id' as product, coalesce(cast(p->>'quantity' as bigint), 1) as quantity,
    cents(p->>'price') as price
from (select subject, order_id, i, unnest(from_json(products, '["json"]')) as p from refunds where detailed);

create table refund_amounts as
with valued as (
    select l.subject, l.i, sum(l.quantity * coalesce(l.price, p.price, 0)) as of_known,
        sum(l.quantity * coalesce(l.price, 0)) as of_unknown
    from refund_lines l left join order_products p using (subject, order_id, product) group by all)
select r.subject, r.order_id, r.t, r.total is null and not detailed as whole,
    coalesce(r.total, of_known, 0) as of_known, coalesce(r.total, of_unknown, 0) as of_unknown
from refunds r left join valued using (subject, i);

create table undone as
select subject, order_id, bool_or(whole) as whole, sum(of_known) as taken from refund_amounts group by all;

create table returned as
with back as (select subject, order_id, product, sum(quantity) as units from refund_lines group by all)
select p.subject, p.order_id, bool_and(coalesce(back.units, 0) >= p.units) and sum(p.units) > 0 as everything
from order_products p left join back using (subject, order_id, product) group by all;

create table money as
select a.subject, a.t, case when whole then 0 else greatest(0, amount - coalesce(taken, 0)) end as net,
    -- of a free order there is nothing to take: it is undone by its units, or without detail
    not (coalesce(whole, false) or (amount > 0 and amount <= coalesce(taken, 0)) or coalesce(everything, false))
        as counts
from amounts a left join undone using (subject, order_id) left join returned using (subject, order_id)
union all
select r.subject, r.t, -of_unknown, false from refund_amounts r anti join orders using (subject, order_id);

create table order_features as
select subject, $orders, count(*) filter (counts) as orders_total, sum(net) as revenue_total_cents,
    max(t) filter (counts) as newest, min(t) filter (counts) as oldest
from money group by subject;
"""

_INTERESTS = """
create table interests as
select subject, i, t, category, case type when 'wishlist_added' then 2 when 'product_added' then 3 else 1 end as weight
from ev where type in ('product_viewed', 'product_clicked', 'wishlist_added', 'product_added') and category is not null
union all
select o.subject, o.i, o.t, l.category, 5 from orders o join order_lines l using (subject, order_id)
where l.category is not null;
"""


def batch_features(lines: Iterable[bytes], as_of_ms: int, currency: str) -> dict[str, dict[str, Any]]:
    """Every feature of every customer with an applied event; absent ones are None.

    Args:
        lines: accepted canonical lines, in any order, with duplicates.
        currency: what all amounts are in.
    """
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file, duckdb.connect() as db:
        file.writelines(line + b"\n" for line in lines)
        file.flush()
        db.execute("set timezone = 'UTC'; set threads = 1")
        names = {"file": str(Path(file.name)), "now": str(as_of_ms), "unit": str(10 ** EXPONENTS.get(currency, 2))}
        names |= {"counts": _counts(as_of_ms), "sessions": _sessions(as_of_ms), "orders": _orders(as_of_ms)}
        for part in (_EVENTS, _ACTIVITY, _ORDERS, _INTERESTS):
            db.execute(_filled(part, names))
        features = _table(db, as_of_ms)
        _add_carts(db, features, as_of_ms)
        _add_categories(db, features, as_of_ms)
    return features


def _filled(text: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(f"${name}", value)
    return text


def _inside(days: int, now: int, column: str) -> str:
    return f"{column} > {now - days * 86_400_000}"


def _counts(now: int) -> str:
    metrics = {
        "views": "product_viewed",
        "cart_adds": "product_added",
        "searches": "products_searched",
        "wishlist_adds": "wishlist_added",
    }
    return ", ".join(
        f"count(*) filter (type = '{kind}' and {_inside(days, now, 't')}) as {metric}_{days}d"
        for metric, kind in metrics.items()
        for days in WINDOW_DAYS
    )


def _sessions(now: int) -> str:
    return ", ".join(
        f"count(*) filter ({_inside(days, now, 'first_t')}) as sessions_{days}d, "
        f"coalesce(sum(last_t - first_t) filter ({_inside(days, now, 'first_t')}), 0) as session_ms_{days}d"
        for days in WINDOW_DAYS
    )


def _orders(now: int) -> str:
    return ", ".join(
        f"count(*) filter (counts and {_inside(days, now, 't')}) as orders_{days}d, "
        f"coalesce(sum(net) filter ({_inside(days, now, 't')}), 0) as revenue_{days}d_cents"
        for days in WINDOW_DAYS
    )


def _table(db: duckdb.DuckDBPyConnection, now: int) -> dict[str, dict[str, Any]]:
    """What is one row a customer; whoever never ordered has zeros there."""
    cursor = db.execute(
        "select a.*, s.* exclude (subject), o.* exclude (subject) from activity a "
        "join session_features s using (subject) left join order_features o using (subject) order by subject"
    )
    names = [column[0] for column in cursor.description]
    features: dict[str, dict[str, Any]] = {}
    for row in cursor.fetchall():
        values = dict(zip(names, row, strict=True))
        newest, oldest = values.pop("newest"), values.pop("oldest")
        for name in names:
            if name.startswith(("orders_", "revenue_", "session_ms_")):
                values[name] = int(values[name] or 0)
        values["since_first_seen_ms"] = now - values["first_seen_ms"]
        values["since_last_seen_ms"] = now - values["last_seen_ms"]
        count, revenue = values["orders_total"], values["revenue_total_cents"]
        values["average_order_cents"] = revenue // count if count else None
        values["recency_ms"] = now - newest if count else None
        values["purchase_interval_ms"] = (newest - oldest) // (count - 1) if count > 1 else None
        features[values.pop("subject")] = values
    return features


def _add_carts(db: duckdb.DuckDBPyConnection, features: dict[str, dict[str, Any]], now: int) -> None:
    """Fold the events that touch carts."""
    cursor = db.execute("""
        with bought as (
            select subject, order_id, list(product) as products from order_lines group by all)
        select ev.subject, ev.i, ev.type, ev.product, ev.quantity, null from ev
        where type in ('product_added', 'product_removed')
        union all
        select o.subject, o.i, 'order', null, null, bought.products
        from orders o left join bought using (subject, order_id)
        order by 1, 2""")
    carts: dict[str, list[list[Any]]] = {}
    for subject, _, kind, product, quantity, products in cursor.fetchall():
        cart = carts.setdefault(subject, [])  # [product, units], the most recently added last
        if kind == "order":
            cart[:] = [entry for entry in cart if products and entry[0] not in products]
            continue
        units = sum(entry[1] for entry in cart if entry[0] == product)
        if kind == "product_added":
            cart[:] = [entry for entry in cart if entry[0] != product]
            cart.append([product, units + (quantity or 1)])
            del cart[:-KEPT_PRODUCTS]
        elif quantity is None or units <= quantity:
            cart[:] = [entry for entry in cart if entry[0] != product]
        else:
            for entry in cart:
                entry[1] -= quantity if entry[0] == product else 0
    for subject, values in features.items():
        values["cart_open"] = bool(carts.get(subject))
        abandoned = values["last_seen_ms"] + 1_800_000
        values["cart_abandoned_at_ms"] = abandoned if values["cart_open"] and now >= abandoned else None


def _add_categories(db: duckdb.DuckDBPyConnection, features: dict[str, dict[str, Any]], now: int) -> None:
    cursor = db.execute(
        "select subject, category, sum(weight * power(2.0, (t - ?) / (30 * 86400000.0))) from interests group by all",
        [now],
    )
    scores: dict[str, dict[str, float]] = {}
    for subject, category, score in cursor.fetchall():
        scores.setdefault(subject, {})[category] = score
    for subject, values in features.items():
        mine = scores.get(subject, {})
        if len(mine) > KEPT_CATEGORIES:
            mine = _folded(db, subject)
        values["top_categories"] = _best(mine, 5)


def _folded(db: duckdb.DuckDBPyConnection, subject: str) -> dict[str, float]:
    """Scores, relative to each other, of a customer of whom not all categories are remembered."""
    rows = db.execute("select i, t, category, weight from interests where subject = ? order by i", [subject]).fetchall()
    start = rows[0][1]
    scores: dict[str, float] = {}
    for place, (i, t, category, weight) in enumerate(rows):
        # a score that grows with its time instead of decaying with its age: the order of names is the same
        scores[category] = scores.get(category, 0.0) + weight * 2.0 ** ((t - start) / (30 * 86_400_000))
        if place + 1 == len(rows) or rows[place + 1][0] != i:
            scores = {name: scores[name] for name in _best(scores, KEPT_CATEGORIES)}
    return scores


def _best(scores: dict[str, float], count: int) -> list[str]:
    """By score, then name; what differs only in the last digits is equal."""
    return sorted(scores, key=lambda name: (-float(f"{scores[name]:.9e}"), name))[:count]
