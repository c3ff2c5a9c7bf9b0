"""API keys: a file with their SHA-256, never the keys themselves, and what each may do.

A key is 32 random bytes, so a plain hash is enough: there is nothing to guess that a slow hash would protect.
"""

import hashlib
import hmac
import math
import re
import secrets
from enum import StrEnum
from pathlib import Path

import msgspec

from schemas.toml_file import toml_document

_BEGINNING = "sgm_"
_HASH = re.compile(r"[0-9a-f]{64}")


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"
    INGEST = "ingest"
    ADMIN = "admin"
    """All of it, and /metrics."""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key, without itself."""

    name: str
    """For people: whose it is."""
    sha256: str
    """In hex, of the key in UTF-8."""
    scopes: tuple[Scope, ...]
    rate_per_s: float | None = None
    """Requests a second; none: as the settings say. 0: any number."""
    burst: float | None = None

    def may(self, scope: Scope) -> bool:
        """Whether it has this scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


class KeyFileError(ValueError):
    """A file of keys that cannot be used; the message says where and why, and holds no key."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    keys: tuple[ApiKey, ...] = ()


EVERYBODY = ApiKey(name="everybody", sha256="", scopes=tuple(Scope))
"""Who asks where no keys are wanted."""


class ApiKeys:
    """The keys that are known."""

    def __init__(self, keys: tuple[ApiKey, ...]) -> None:
        self._keys = tuple((key.sha256.encode(), key) for key in keys)

    def find(self, presented: str) -> ApiKey | None:
        """The key that this is. Takes the same time whichever it is, and if it is none."""
        digest = hashlib.sha256(presented.encode("utf-8", "surrogateescape")).hexdigest().encode()
        found = None
        for stored, key in self._keys:
            if hmac.compare_digest(stored, digest):
                found = key
        return found


def new_key() -> tuple[str, str]:
    """A new key, and its hash for the file."""
    key = _BEGINNING + secrets.token_urlsafe(32)
    return key, hashlib.sha256(key.encode()).hexdigest()


def load_keys(path: Path) -> tuple[ApiKey, ...]:
    """Read a file of keys (docs/serving.md).

    Raises:
        KeyFileError: it cannot be read, names a scope that does not exist, has a hash that is none, two keys of one
            name, or one key under two names.
    """
    try:
        keys = msgspec.convert(toml_document(path, KeyFileError), _File).keys
    except msgspec.ValidationError as error:
        raise KeyFileError(f"{path}: {error}") from error
    if not keys:
        raise KeyFileError(f"{path}: no keys in it; `segmill keys new NAME` makes one")
    names = [key.name for key in keys]
    for key in keys:
        if not _HASH.fullmatch(key.sha256):
            raise KeyFileError(f"{path}: the sha256 of {key.name!r} is not 64 hex digits (in small letters)")
        if not key.scopes:
            raise KeyFileError(f"{path}: {key.name!r} has no scopes")
        if not all(0 <= (number or 0) < math.inf for number in (key.rate_per_s, key.burst)):  # nor is nan
            raise KeyFileError(f"{path}: {key.name!r}: rate_per_s and burst are numbers that are not negative")
        if names.count(key.name) > 1:
            raise KeyFileError(f"{path}: two keys are called {key.name!r}")
    named: dict[str, str] = {}
    for key in keys:
        first = named.setdefault(key.sha256, key.name)
        if first != key.name:  # which of the two is meant, with what scopes and rate, nobody could say
            raise KeyFileError(f"{path}: {first!r} and {key.name!r} are the same key: make one for each")
    return keys
