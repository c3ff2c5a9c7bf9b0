"""The same one endpoint in several frameworks: a customer's MessagePack value from Valkey as JSON.

`python -m benchmarks.serving_peers PEER` serves it until it is killed; benchmarks/serving_frameworks.py measures them.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from serving.redis_wire import Wire

HOST = "127.0.0.1"
PATH = "/v1/customers/"
SERVERS = ("granian", "uvicorn")
FRAMEWORKS = ("bare", "starlette", "falcon", "blacksheep", "litestar")
PEERS = ("granian-rsgi", *(f"{server}-{framework}" for server in SERVERS for framework in FRAMEWORKS))
"""`bare`: ASGI without a framework; `granian-rsgi`: Granian's own interface without one."""

_unpack = msgspec.msgpack.Decoder().decode
_json = msgspec.json.Encoder().encode
_wire: Wire | None = None


async def value(customer: str) -> bytes:
    """The customer's value as JSON, from Valkey each time."""
    global _wire  # one connection a process
    if _wire is None:
        loop = asyncio.get_running_loop()
        made = await loop.create_unix_connection(lambda: Wire(lambda _: None, lambda: None), os.environ["BENCH_SOCKET"])
        _wire = made[1]
        await _wire.call("HELLO", "3")
    return _json(_unpack(await _wire.call("GET", f"profile:{customer}")))


async def rsgi(scope: Any, protocol: Any) -> None:
    """Granian's own interface."""
    if scope.proto == "http":
        body = await value(scope.path[len(PATH) :])
        protocol.response_bytes(200, [("content-type", "application/json")], body)


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """ASGI by hand."""
    if scope["type"] != "http":
        return
    body = await value(scope["path"][len(PATH) :])
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def starlette() -> Any:
    """Starlette."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    async def customer(request: Request) -> Response:
        return Response(await value(request.path_params["customer_id"]), media_type="application/json")

    return Starlette(routes=[Route(PATH + "{customer_id}", customer)])


def falcon() -> Any:
    """Falcon."""
    import falcon.asgi

    class Customer:
        async def on_get(self, _: Any, response: Any, customer_id: str) -> None:
            response.data = await value(customer_id)
            response.content_type = "application/json"

    app = falcon.asgi.App()
    app.add_route(PATH + "{customer_id}", Customer())
    return app


def blacksheep() -> Any:
    """BlackSheep."""
    from blacksheep import Application, Content, Response

    app = Application()

    @app.router.get(PATH + "{customer_id}")
    async def customer(customer_id: str) -> Response:
        return Response(200, None, Content(b"application/json", await value(customer_id)))

    return app


def litestar() -> Any:
    """Litestar."""
    from litestar import Litestar, MediaType, get

    @get(PATH + "{customer_id:str}", media_type=MediaType.JSON)
    async def customer(customer_id: str) -> bytes:
        return await value(customer_id)

    return Litestar([customer], openapi_config=None)


def app() -> Any:
    """The peer's application, in the server's process."""
    framework = os.environ["BENCH_PEER"].partition("-")[2]
    made: dict[str, Callable[[], Any]] = {
        "rsgi": lambda: rsgi,
        "bare": lambda: bare,
        "starlette": starlette,
        "falcon": falcon,
        "blacksheep": blacksheep,
        "litestar": litestar,
    }
    return made[framework]()


def main() -> None:
    """Serve BENCH_PEER at BENCH_PORT, with one worker."""
    peer, port = os.environ["BENCH_PEER"], int(os.environ["BENCH_PORT"])
    if peer.startswith("granian"):
        from granian import Granian
        from granian.constants import HTTPModes, Interfaces, Loops

        interface = Interfaces.RSGI if peer.endswith("rsgi") else Interfaces.ASGI
        Granian("benchmarks.serving_peers:app", HOST, port, factory=True, interface=interface, websockets=False,
                http=HTTPModes.http1, loop=Loops.uvloop, log_enabled=False).serve()  # fmt: skip
    else:
        import uvicorn

        uvicorn.run("benchmarks.serving_peers:app", factory=True, host=HOST, port=port, loop="uvloop",
                    http="httptools", ws="none", log_level="critical", access_log=False)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
