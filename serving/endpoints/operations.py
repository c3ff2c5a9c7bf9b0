"""GET /healthz, /readyz, /metrics and /v1/openapi.json."""

from serving import metrics
from serving.api_keys import Scope
from serving.problems import unavailable
from serving.replies import Health, Ready
from serving.routes import Call, Reply, Route


async def healthz(_: Call) -> Health:
    """That the process runs."""
    return Health()


async def readyz(call: Call) -> Ready:
    """That it can answer, if only from what it knew before."""
    link = call.services.source.link
    if link.reconnects < 0:
        why = f": it says {link.refusal}" if link.refusal else ""
        raise unavailable(f"no connection to Redis so far{why}")
    return Ready("ready", not link.connected, "connected" if link.connected else "gone")


async def scrape(call: Call) -> Reply:
    """Figures for Prometheus."""
    return Reply(call.services.metrics.text().encode(), media_type=metrics.MEDIA_TYPE)


async def openapi(call: Call) -> Reply:
    """This API, described."""
    return Reply(call.services.openapi)


ROUTES = (
    Route("/healthz", healthz, "That this server runs.", Health, scope=None),
    Route("/readyz", readyz, "That this server can answer; not before it has reached Redis once.", Ready, scope=None,
          problems=(503,)),
    Route("/metrics", scrape, "Figures in Prometheus' text format, of all workers together.", None, scope=Scope.ADMIN,
          media_type=metrics.MEDIA_TYPE),
    Route("/v1/openapi.json", openapi, "This document.", None, scope=None),
)  # fmt: skip
