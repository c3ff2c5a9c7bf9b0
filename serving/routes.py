"""A route: path, parameters, scope and answers, said once, for serving, checking and OpenAPI alike."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from serving.api_keys import ApiKey, Scope
from serving.parameters import NoQuery, Query, check_id
from serving.problems import unknown_route, wrong_method

if TYPE_CHECKING:
    from serving.services import Services

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """A body that is ready; with `stream`, one that is sent bit by bit."""

    body: bytes = b""
    status: int = 200
    media_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    stream: Callable[[Callable[[bytes], Awaitable[None]]], Awaitable[None]] | None = None


@dataclass(slots=True)
class Call:
    """One request on its way to its endpoint."""

    services: "Services"
    key: ApiKey
    """Of the one who asks."""
    subject: str
    """The id or name in the path, unescaped; empty where there is none."""
    query: Any
    header: Callable[[str], str | None]
    """The text of a header; None: there is none, or its bytes are no text."""
    has_header: Callable[[str], bool]
    """Whether there is one, whatever its bytes."""
    body: Callable[[], Awaitable[bytes]]


Answer = msgspec.Struct | Reply


@dataclass(frozen=True, slots=True)
class Route:
    """What is served under a path and a method."""

    path: str
    """With at most one `{name}`. Its value may hold any character, a slash included, if it is escaped."""
    handle: Callable[[Call], Awaitable[Answer]]
    about: str
    answer: type[msgspec.Struct] | None
    """None: not JSON; see `media_type`."""
    scope: Scope | None = Scope.READ
    method: Literal["GET", "POST"] = "GET"
    query: type[msgspec.Struct] = NoQuery
    body: type[msgspec.Struct] | None = None
    problems: tuple[int, ...] = ()
    """Statuses beside those that every route has."""
    media_type: str = JSON
    subject_about: str = ""

    @property
    def subject_name(self) -> str:
        """Name of what stands in the path."""
        return self.path.partition("{")[2].partition("}")[0]


class Router:
    """Finds the route of a path."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)
        self._queries = {route: Query(route.query) for route in routes}
        self._plain = {route.path: route for route in routes if "{" not in route.path}
        self._patterned = [
            (route.path.partition("{")[0], route.path.partition("}")[2], route) for route in routes if "{" in route.path
        ]

    def find(self, path: str) -> tuple[Route, str]:
        """The route, and what stands in its place for a name.

        Raises:
            ProblemError: 404, there is none.
        """
        route = self._plain.get(path)
        if route is not None:
            return route, ""
        for before, after, patterned in self._patterned:
            if path.startswith(before) and path.endswith(after) and len(path) > len(before) + len(after):
                return patterned, path[len(before) : len(path) - len(after)]
        raise unknown_route()

    def read(self, route: Route, method: str, subject: str, query: str) -> Any:
        """The parameters of the query, once method and path are checked too.

        Raises:
            ProblemError: 405 or 400.
        """
        if method != route.method:
            raise wrong_method(route.method)
        if subject:
            check_id(subject, route.subject_name)
        return self._queries[route].read(query)

    def documented(self, route: Route) -> list[dict[str, Any]]:
        """The parameters of the query for OpenAPI."""
        return self._queries[route].documented()
