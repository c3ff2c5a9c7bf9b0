"""A client of Segmill's API. The key stays here: no page and no browser sees it."""

import http.client
import json
from typing import Any, NamedTuple
from urllib.parse import urlsplit

_MOST_BYTES = 1 << 20


class ApiError(Exception):
    """The API cannot be asked now, or answers what cannot be read."""


class ApiAnswer(NamedTuple):
    """Status and what the JSON says; None: it is none."""

    status: int
    body: Any


class Api:
    """Where the API is. Redirects are not followed, and no proxy is used: the key goes there and nowhere else.

    Raises:
        ValueError: the address is none.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError(f"{url}: an address such as http://127.0.0.1:8080 is needed")
        self._https, self._host, self._port = parts.scheme == "https", parts.hostname, parts.port
        self._headers = {"accept": "application/json"} | ({} if key is None else {"x-api-key": key})

    def get(self, path: str, timeout_s: float) -> ApiAnswer:
        """Ask. `timeout_s` is for each step, not for all of it.

        Raises:
            ApiError: there is no answer.
        """
        return self._ask("GET", path, None, self._headers, timeout_s)

    def post(self, path: str, body: Any, timeout_s: float) -> ApiAnswer:
        """Send JSON.

        Raises:
            ApiError: there is no answer.
        """
        headers = self._headers | {"content-type": "application/json"}
        return self._ask("POST", path, json.dumps(body).encode(), headers, timeout_s)

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str], timeout_s: float) -> ApiAnswer:
        kind = http.client.HTTPSConnection if self._https else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=timeout_s)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read(_MOST_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(f"the API cannot be reached: {type(error).__name__}") from None
        finally:
            connection.close()
        try:
            return ApiAnswer(answer.status, json.loads(content))
        except ValueError:
            return ApiAnswer(answer.status, None)
