"""What a piece of logic gives out: a channel, a key and a payload. Where a channel leads is the engine's business."""

from enum import IntEnum

Output = tuple[int, str, bytes]
"""(channel, key, payload)."""


class Channel(IntEnum):
    """Where an output goes. JSON payloads are UTF-8 without a line break."""

    SEGMENT_CHANGE = 0
    """A JSON line; key: customer."""
    REDIS = 1
    """A write of schemas/writes.py; key: what must keep its order, such as the customer."""
    ITEM = 2
    """A message for the item operator; key: `relation|item`."""
    REJECTED = 3
    """A JSON line."""
    COUNTS = 4
    """A JSON line of a customer's outcomes, once at the end of a bounded run."""
    ROW = 5
    """From the item operator: an item's row for publishing; key: `relation|item`."""
    TOTAL = 6
    """From the item operator: an item's total, for all to know; key: `relation|item`."""
    MEMBERSHIPS = 7
    """A JSON line of all that a customer is in now, empty: nothing; key: customer. Live jobs only."""
    SIMILAR = 8
    """A JSON line of an item's list, empty: withdrawn; key: `relation|item`. Live jobs only."""
    CONTROL = 9
    """A control record that can take effect, for all customers to know."""
    ANNOUNCEMENT = 10
    """That all items have to publish at a moment (state/publications.py): for every subtask of their operators."""
    STANDING = 11
    """What a customer's own facts say, for those who know the population (state/population/standing.py)."""
    VIEW = 12
    """A new view of the population (state/population/view.py), for all customers to know."""
    MODEL = 13
    """A JSON record of what is new of the population; key: its kind."""
    EXPERIMENT = 14
    """A message for the sums of an experiment, which takes the way of those for items; key: `experiment|name`."""
