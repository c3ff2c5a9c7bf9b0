"""GET /v1/customers/{customer_id}."""

from serving import profiles
from serving.problems import not_found, unavailable
from serving.redis_link import Unavailable
from serving.replies import Customer, Membership
from serving.routes import Call, Route


async def customer(call: Call) -> Customer:
    """Profile and segments of a customer, each with why."""
    services = call.services
    attention = services.attention()
    try:
        profile = await services.source.profile(call.subject)
    except Unavailable:
        raise unavailable("Redis cannot be asked now, and this profile was not read before") from None
    if profile is None and attention.degraded:
        raise unavailable("Redis cannot be asked now, and when it could, no customer of this id was known")
    if profile is None:
        raise not_found("no customer of this id is known")
    features = profiles.features(profile)
    known = await services.segments.rules_in_force()
    memberships = []
    for name, since_ms in sorted(profiles.segments(profile).items(), key=lambda pair: (pair[1], pair[0])):
        rule = known.get(name)
        if rule is None:
            memberships.append(Membership(name, since_ms, None, None, {}))
        else:
            why = {read: features.get(read) for read in rule.reads}
            memberships.append(Membership(name, since_ms, rule.description, rule.condition, why))
    return Customer(
        customer_id=call.subject,
        as_of_ms=profile["as_of_ms"],
        features=features,
        segments=tuple(memberships),
        learned=profiles.learned(profile),
        recent=profiles.recent(profile),
        degraded=services.told(attention),
    )


ROUTES = (
    Route(
        "/v1/customers/{customer_id}",
        customer,
        "What is known of a customer: features, segments with since when and why, what was done last.",
        Customer,
        problems=(404, 503),
        subject_about="The customer's id, or an anonymous one.",
    ),
)
