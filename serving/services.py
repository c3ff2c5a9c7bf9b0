"""What endpoints use: made once in each worker."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from serving.attention import Attention, begin
from serving.change_feed import ChangeFeed
from serving.content.entry import Content
from serving.experiments.choice import Chooser
from serving.intake import Events
from serving.metrics import Metrics
from serving.ranking.engine import Recommender
from serving.redis_source import RedisSource
from serving.segments import SegmentStore
from serving.settings import ServingSettings

AT_ONCE = 16


@dataclass(slots=True)
class Services:
    """Everything behind the endpoints of one worker."""

    settings: ServingSettings
    source: RedisSource
    segments: SegmentStore
    recommender: Recommender
    metrics: Metrics
    openapi: bytes
    events: Events | None
    changes: ChangeFeed | None
    content: Content | None
    chooser: Chooser
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    """Recommendations in the making. More at once would only hold each other up, until all are late; who has waited for
    the time that an answer may take is answered from what is known here."""

    reporter: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "report"))
    """Works out how experiments stand, one after the other: none holds up the event loop."""

    def attention(self) -> Attention:
        """Begin to answer a request from Redis: from now on its deadline counts."""
        return begin(self.settings.deadline_ms / 1000)

    def told(self, attention: Attention, otherwise: bool = False) -> bool:
        """Whether the answer is degraded: surely if Redis is gone; counted if so."""
        degraded = attention.degraded or otherwise or not self.source.link.connected
        if degraded:
            self.metrics.add("degraded_answers")
        return degraded
