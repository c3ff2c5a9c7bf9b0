"""The OpenAPI document is true: whatever is asked, the answers are among those it describes, and no fault of ours."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator
from schemathesis.checks import load_all_checks
from schemathesis.core.transport import DEFAULT_RESPONSE_TIMEOUT
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from jobs.runtime.valkey import EmbeddedValkey
from schemas.decode import ID_MAX_BYTES
from serving.api_keys import Scope
from serving.endpoints.recommendations import RecommendationsQuery
from serving.openapi import document
from serving.ranking.strategies import STRATEGIES
from serving.request_size import MOST_URL
from serving.routes import Router
from serving.server import ROUTES, VERSION
from tests.serving.served import Served, serve
from tests.serving.small_shop import STRANGE

EXAMPLES, EXAMPLES_WITH_KEYS = 60, 8
MOST_OF_GRANIAN = 65_534
KEY_HEADERS = ("authorization", "x-api-key")
SCOPES = {route.path: route.scope for route in ROUTES}
OF_KAFKA = ("/v1/events", "/v1/changes")
"""Not to be had here; tests/cluster/test_serving_streams.py has one."""
NASTY = ("", " ", "0", "-1", "1e9", "9" * 30, "null", "true", "[]", "{}", "\x00", "\n", "é😀", "%", "%2F", "..",
         "a" * 600, "$ne", "\ud7ff", "a/b", "*", "all", "category:", "segment:\u2028", "1.5", "0x10", "٣", "NaN",
         "'--", "<b>")  # fmt: skip
DOCUMENT = document(Router(ROUTES), VERSION, guarded=False)


@pytest.fixture(scope="module")
def open_api(valkey: EmbeddedValkey) -> Iterator[Served]:
    """Without keys and Kafka, and patient, so that a busy machine degrades nothing."""
    with serve("--without-keys", "--without-kafka", "--redis", valkey.url, SEGMILL_SERVE_DEADLINE_MS="5000",
               SEGMILL_SERVE_REDIS_TIMEOUT_MS="4000") as served:  # fmt: skip
        served.until("/readyz", 200)
        yield served


class TestDocument:
    def test_it_is_what_is_served(self, open_api: Served) -> None:
        """As JSON."""
        assert open_api.ask("/v1/openapi.json").json == json.loads(json.dumps(DOCUMENT))

    def test_every_parameter_is_explained(self) -> None:
        """In words."""
        silent = [
            (path, parameter["name"])
            for path, methods in DOCUMENT["paths"].items()
            for operation in methods.values()
            for parameter in operation.get("parameters", ())
            if not parameter.get("description")
        ]
        assert silent == []

    def test_schemas_are_schemas(self) -> None:
        """Of the dialect that OpenAPI 3.1 takes."""
        for schema in DOCUMENT["components"]["schemas"].values():
            Draft202012Validator.check_schema(schema)

    def test_strategies_are_named(self) -> None:
        """All there are."""
        parameters = DOCUMENT["paths"]["/v1/recommendations/{customer_id}"]["get"]["parameters"]
        found = next(parameter for parameter in parameters if parameter["name"] == "strategy")
        assert found["schema"]["enum"] == sorted(STRATEGIES)
        assert {parameter["name"] for parameter in parameters} == {
            "customer_id",
            *RecommendationsQuery.__struct_fields__,
        }

    def test_labels_are_as_long_as_elsewhere(self) -> None:
        """What events and the catalog let through can be asked for."""
        schemas = {
            (path, parameter["name"]): parameter["schema"]
            for path, methods in DOCUMENT["paths"].items()
            for parameter in methods.get("get", {}).get("parameters", ())
        }
        labels = ("page", "location", "device", "category", "tag", "without_tag", "cart", "product_id")
        asked = [schemas["/v1/recommendations/{customer_id}", label] for label in labels]
        asked += [schemas["/v1/content/{customer_id}", "slot"], schemas["/v1/changes", "segment"]]
        assert {schema.get("items", schema)["maxLength"] for schema in asked} == {ID_MAX_BYTES}
        assert schemas["/v1/popular", "scope"]["maxLength"] == len("category:") + ID_MAX_BYTES


class TestFuzz:
    @pytest.mark.parametrize("path", [path for path in DOCUMENT["paths"] if path != "/v1/events"])
    def test_every_parameter(self, open_api: Served, path: str) -> None:
        """With values of all kinds: only documented answers, of the documented shape, and none that is our fault."""
        draw = random.Random(path)
        operation = DOCUMENT["paths"][path]["get"]
        names = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"] + ["unknown"]
        subjects = [STRANGE, "c-1", "p-1", "regulars", *filter(None, NASTY)] if "{" in path else [""]
        for turn in range(150):
            subject = subjects[turn % len(subjects)]
            some = draw.sample(names, draw.randrange(min(3, len(names) + 1))) if turn >= len(subjects) else []
            query = "&".join(f"{name}={quote(draw.choice(NASTY), safe='')}" for name in some)
            before, _, rest = path.partition("{")
            asked = before + quote(subject, safe="") + rest.partition("}")[2] + (f"?{query}" if query else "")
            got = open_api.ask(asked)
            assert str(got.status) in operation["responses"], (asked, got)
            assert got.status < 500 or (got.status == 503 and path in OF_KAFKA), (asked, got)
            check_shape(operation["responses"][str(got.status)], got.headers["content-type"], got.body)


def positions(draw: random.Random) -> Iterator[str]:
    """Of Last-Event-ID: right ones, and what can be made of one."""
    right = "0:7,1:12@0890d68c8c844a6e87e8ab6b8e848b9d"
    yield right
    yield from (one for one in NASTY if one.isprintable())
    yield from (
        "0:7,0:8",
        "0:-1",
        f"0:{2**63}",
        "0:" + "9" * 4_000,
        ",".join(f"{one}:1" for one in range(2_000)),
        "٣:٣",
    )
    for _ in range(150):
        letters = list(right)
        for _ in range(draw.randrange(1, 5)):
            letters[draw.randrange(len(letters))] = draw.choice("0123456789:,@-+ .eE_abcxé")
        yield "".join(letters)[: draw.randrange(1, 50)]


class TestPositions:
    def test_where_a_stream_shall_go_on(self, open_api: Served) -> None:
        """Checked before Kafka, which is not there, is asked: a position is good or bad, whatever it is made of."""
        responses, seen = DOCUMENT["paths"]["/v1/changes"]["get"]["responses"], set()
        for position in positions(random.Random(1)):
            got = open_api.ask("/v1/changes", last_event_id=position.encode())  # type: ignore[arg-type]
            assert got.status in (400, 503), position
            check_shape(responses[str(got.status)], got.headers["content-type"], got.body)
            assert got.status == 503 or got.json["errors"][0]["where"] == "Last-Event-ID"
            seen.add(got.status)
        assert seen == {400, 503}

    @pytest.mark.parametrize("position", [b"\xff", b"\xff0:7", b"0:7\x80", "0:7é".encode(), b""])
    def test_bytes_that_are_no_text(self, open_api: Served, position: bytes) -> None:
        """Are a bad position, not none: the stream would begin elsewhere, and the client would not know."""
        got = open_api.ask("/v1/changes", last_event_id=position)  # type: ignore[arg-type]
        assert (got.status, got.json["errors"][0]["where"]) == (400, "Last-Event-ID")


def check_shape(response: dict[str, Any], media_type: str, body: bytes) -> None:
    """The body is as the document says."""
    schema = response["content"][media_type.partition(";")[0]]["schema"]
    if "json" in media_type:
        whole = {"$ref": "#/components/schemas/" + schema["$ref"].rpartition("/")[2]} if "$ref" in schema else schema
        Draft202012Validator(whole | {"components": DOCUMENT["components"]}).validate(json.loads(body))


def check_too_long(answer: Any) -> None:
    """It was; and said so, unless it was so long that the layer below refused it (docs/serving.md)."""
    length = len(urlsplit(answer.request.url)._replace(scheme="", netloc="").geturl())
    assert length > MOST_URL
    if length <= MOST_OF_GRANIAN:
        assert json.loads(answer.content)["type"] == "urn:segmill:problem:url-too-long"


@pytest.mark.slow
class TestSchemathesis:
    def test_it_finds_nothing(self, open_api: Served, tmp_path: Path) -> None:
        """Requests generated from the document, good and bad ones; all of its checks."""
        seen = 0
        for operation in operations(open_api):
            if operation.path in OF_KAFKA:
                continue
            for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
                seen += run(operation, mode, EXAMPLES)
        assert seen > 500


@pytest.fixture(scope="module")
def guarded_api(valkey: EmbeddedValkey, keys: tuple[Path, dict[str, str]]) -> Iterator[Served]:
    """As the open one, with keys."""
    options = ("--keys", str(keys[0]), "--without-kafka", "--redis", valkey.url)
    with serve(*options, SEGMILL_SERVE_DEADLINE_MS="5000", SEGMILL_SERVE_REDIS_TIMEOUT_MS="4000") as served:
        served.until("/readyz", 200)
        yield served


@pytest.mark.slow
class TestSchemathesisWithKeys:
    def test_the_document_is_that_of_keys(self, guarded_api: Served) -> None:
        """It says which operations want one, and that these may answer 401 and 403."""
        found = guarded_api.ask("/v1/openapi.json").json
        assert found == json.loads(json.dumps(document(Router(ROUTES), VERSION, guarded=True)))
        for route in ROUTES:
            operation = found["paths"][route.path][route.method.lower()]
            wanted = route.scope is not None
            assert ("security" in operation, "401" in operation["responses"], "403" in operation["responses"]) == (
                wanted,
                wanted,
                wanted,
            )

    @pytest.mark.parametrize("scope", list(Scope))
    def test_a_key_of_each_scope(self, guarded_api: Served, keys: tuple[Path, dict[str, str]], scope: Scope) -> None:
        """What it may is answered as without keys, with all checks; what it may not, with 403 and nothing else."""
        allowed = refused = 0
        for operation in operations(guarded_api):
            wanted = SCOPES[operation.path]
            for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
                for headers in ({"X-Api-Key": keys[1][scope]}, {"Authorization": f"Bearer {keys[1][scope]}"}):
                    if wanted is not None and scope not in (wanted, Scope.ADMIN):
                        refused += run(operation, mode, EXAMPLES_WITH_KEYS, headers, 403)
                    elif operation.path not in OF_KAFKA:
                        allowed += run(operation, mode, EXAMPLES_WITH_KEYS, headers)
        assert (allowed > 50, refused > 50) == (scope != Scope.INGEST, scope != Scope.ADMIN)

    @pytest.mark.parametrize(
        "headers", [{}, {"X-Api-Key": "sgm_wrong"}, {"Authorization": "Bearer sgm_wrong"}], ids=str
    )
    def test_without_a_key_of_ours(self, guarded_api: Served, headers: dict[str, str]) -> None:
        """Nothing but 401, whatever is asked, unless everybody may ask it."""
        refused = 0
        for operation in operations(guarded_api):
            if SCOPES[operation.path] is not None:
                for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
                    refused += run(operation, mode, EXAMPLES_WITH_KEYS, headers, 401)
        assert refused > 100


def operations(served: Served) -> Iterator[Any]:
    """All of the document that is served."""
    load_all_checks()
    for result in schemathesis.openapi.from_url(served.url + "/v1/openapi.json").get_all_operations():
        yield result.ok()


def run(operation: Any, mode: Any, most: int, headers: dict[str, str] | None = None, refused: int | None = None) -> int:
    """Ask so many times at most, with these headers; `refused`: the only status that may come. Returns how often."""
    count = 0

    @settings(
        max_examples=most, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
    )
    def call(case: Any) -> None:
        nonlocal count
        count += 1
        if mode == schemathesis.GenerationMode.POSITIVE and case.query:
            case.query.pop("cursor", None)  # what is right about one is that it was given, which no schema can say
        for name in [name for name in case.headers if name.lower() in KEY_HEADERS]:
            del case.headers[name]  # made up: what is sent is `headers`
        answer = case.call(timeout=DEFAULT_RESPONSE_TIMEOUT, headers=headers)
        if answer.status_code == 414:
            check_too_long(answer)
        elif refused is None:
            case.validate_response(answer, headers=headers)
        else:
            assert answer.status_code == refused
            checks = [response_schema_conformance, status_code_conformance]
            case.validate_response(answer, headers=headers, checks=checks)

    from hypothesis import given

    strategy = operation.as_strategy(generation_mode=mode)
    try:
        given(case=strategy)(call)()
    except Exception as error:
        if "Unsatisfiable" in type(error).__name__:  # nothing can be wrong with an operation without parameters
            return count
        raise
    return count
