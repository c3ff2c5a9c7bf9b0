"""The OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0), made from the routes that are served."""

from http import HTTPStatus
from typing import Any

import msgspec

from schemas.decode import ID_MAX_BYTES
from serving import problems
from serving.change_position import PATTERN
from serving.event_source import EVENT_STREAM
from serving.routes import JSON, Route, Router

_REFERENCE = "#/components/schemas/{name}"
_ALWAYS = (400, 405, 414, 429, 431, 500)
"""Statuses that every route may answer with."""
_TITLES = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}


def document(router: Router, version: str, guarded: bool) -> dict[str, Any]:
    """The document; `guarded`: keys are wanted."""
    shapes: list[Any] = [problems.Problem]
    shapes += [shape for route in router.routes for shape in (route.answer, route.body) if shape is not None]
    _, components = msgspec.json.schema_components(shapes, ref_template=_REFERENCE)
    _batch(components)
    paths: dict[str, Any] = {}
    for route in router.routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(router, route, guarded)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Segmill",
            "version": version,
            "description": "Recommendations, profiles and segments of a shop's customers.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
            },
        },
    }


def _operation(router: Router, route: Route, guarded: bool) -> dict[str, Any]:
    parameters = [*_in_path(route), *router.documented(route), *_headers(route)]
    operation: dict[str, Any] = {
        "operationId": route.handle.__name__,
        "summary": route.about.partition(". ")[0].rstrip("."),
        "description": route.about,
        "responses": {"200": _answer(route)} | {str(status): _problem(status) for status in _statuses(route, guarded)},
    }
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        schema = {"$ref": _REFERENCE.format(name=route.body.__name__)}
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    if route.scope is not None and guarded:
        operation["security"] = [{"bearer": []}, {"header": []}]
        operation["description"] += f" Scope: {route.scope.value}."
    return operation


def _statuses(route: Route, guarded: bool) -> list[int]:
    of_keys = (401, 403) if guarded and route.scope is not None else ()
    of_hosts = () if guarded else (421,) if route.method == "GET" else (403, 421)
    not_found = (404,) if route.subject_name else ()
    return sorted({*_ALWAYS, *route.problems, *of_keys, *of_hosts, *not_found})


def _in_path(route: Route) -> list[dict[str, Any]]:
    if not route.subject_name:
        return []
    schema = {"type": "string", "minLength": 1, "maxLength": ID_MAX_BYTES}
    about = (
        f"{route.subject_about} Any character may stand in it, percent-encoded; at most {ID_MAX_BYTES} bytes of UTF-8."
    )
    return [
        {"name": route.subject_name, "in": "path", "required": True, "description": about.strip(), "schema": schema}
    ]


def _headers(route: Route) -> list[dict[str, Any]]:
    if route.media_type != EVENT_STREAM:
        return []
    schema = {"type": "string", "pattern": f"^{PATTERN}$"}
    about = "The id of the last event that was received."
    return [{"name": "Last-Event-ID", "in": "header", "required": False, "description": about, "schema": schema}]


def _answer(route: Route) -> dict[str, Any]:
    if route.answer is not None:
        schema: dict[str, Any] = {"$ref": _REFERENCE.format(name=route.answer.__name__)}
    else:
        schema = {"type": "object"} if route.media_type == JSON else {"type": "string"}
    return {"description": "OK", "content": {route.media_type.partition(";")[0]: {"schema": schema}}}


def _problem(status: int) -> dict[str, Any]:
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    schema = {"$ref": _REFERENCE.format(name="Problem")}
    return {"description": title, "content": {problems.MEDIA_TYPE: {"schema": schema}}}


def _batch(components: dict[str, Any]) -> None:
    """What a batch holds is checked event by event, so here it is said for people alone."""
    events = components["Batch"]["properties"]["events"]
    events |= {"minItems": 1, "maxItems": 500, "items": {"description": "An event (docs/events.md)."}}
