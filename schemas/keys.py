"""Every Redis key there is, in one place; writers and readers use it alike."""

from dataclasses import dataclass

POPULAR_VIEWED, POPULAR_BOUGHT, POPULAR_SHOWN, POPULAR_CLICKED = "viewed", "bought", "shown", "clicked"
"""The scopes of popularity that the job writes."""


def beginning_with(start: str) -> str:
    """The pattern, for SCAN, of all keys that begin so."""
    return "".join(f"\\{letter}" if letter in "*?[]\\^" else letter for letter in start) + "*"


@dataclass(frozen=True, slots=True)
class Keys:
    """Names of the Redis keys below one prefix.

    Ids are put in as they are: nothing follows them in a key, so an id may hold any character, a colon included.
    (A relation and a scope are our own words and hold no colon, but for `category:x`, `segment:x` and `new:x` scopes.)
    """

    prefix: str = "segmill:"

    @property
    def meta(self) -> str:
        """The hash of schema version, rule version and watermark."""
        return f"{self.prefix}meta"

    def profile(self, customer_id: str) -> str:
        """A customer's packed profile: what the customer's own facts say."""
        return f"{self.prefix}profile:{customer_id}"

    def population(self, customer_id: str) -> str:
        """What is known of a customer beside all others: the second part of the profile, packed."""
        return f"{self.prefix}population:{customer_id}"

    def segment(self, name: str) -> str:
        """The sorted set of a segment's members, scored by when they entered (ms)."""
        return f"{self.prefix}segment:{name}"

    def similar(self, relation: str, item_id: str) -> str:
        """An item's packed neighbours in one relation."""
        return f"{self.prefix}similar:{relation}:{item_id}"

    def popular(self, scope: str) -> str:
        """The sorted set of trending items of a scope: `all`, `category:x` or `segment:x`.

        Of the scope `new:x` a category's newest items, scored by when they were listed (ms): written with the catalog.
        """
        return f"{self.prefix}popular:{scope}"

    def popular_versions(self, scope: str) -> str:
        """The hash of versions behind `popular`, by which an older score is told from a newer one."""
        return f"{self.prefix}popular-versions:{scope}"

    def item(self, item_id: str) -> str:
        """What the shop's catalog says of an item."""
        return f"{self.prefix}item:{item_id}"

    def published(self, control_id: str) -> str:
        """As of which moment (ms) everything was written that a control record asked for; gone after a day."""
        return f"{self.prefix}published:{control_id}"

    def model(self, name: str) -> str:
        """A published model."""
        return f"{self.prefix}model:{name}"

    @property
    def forgetting(self) -> str:
        """As of which moment (ms) a population is being forgotten; gone once it is."""
        return f"{self.prefix}population-forgotten"

    def experiment(self, name: str) -> str:
        """How an experiment stands."""
        return f"{self.prefix}experiment:{name}"
