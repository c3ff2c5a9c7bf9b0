"""Signatures of the Standard Webhooks specification (version 1.0.0, symmetric): HMAC-SHA256 of id, time and body."""

import base64
import binascii
import hmac
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs.forward.errors import ForwardProblem

SECRET_VARIABLE = "SEGMILL_WEBHOOK_SECRET"  # noqa: S105  (the name of it)
_PREFIX = "whsec_"
_LEAST_BYTES, _MOST_BYTES = 24, 64
_MAKE_ONE = "make one with: echo whsec_$(openssl rand -base64 32)"


def read_secrets(file: Path | None, environ: Mapping[str, str] = os.environ) -> tuple[bytes, ...]:
    """The secrets of a file, or of SEGMILL_WEBHOOK_SECRET: `whsec_` and base64, several of them apart by blanks.

    With several, each signs: so a receiver can move from one to the other at its own time.

    Raises:
        ForwardProblem: there is none, or one is no secret; the message does not show it.
    """
    source = f"{file}" if file is not None else SECRET_VARIABLE
    try:
        text = file.read_text(encoding="ascii") if file is not None else environ.get(SECRET_VARIABLE, "")
    except (OSError, UnicodeDecodeError) as error:
        raise ForwardProblem(f"{file}: cannot be read: {getattr(error, 'strerror', None) or 'not ASCII'}") from None
    if not text.split():
        missing = "holds no secret" if file is not None else "is not set, and there is no --secret-file"
        raise ForwardProblem(f"{source} {missing}; {_MAKE_ONE}")
    return tuple(_secret(word, source) for word in text.split())


def sign(secrets: Sequence[bytes], message_id: str, time_s: int, body: bytes) -> str:
    """The value of the header `webhook-signature`: one signature for each secret."""
    content = b"%b.%d.%b" % (message_id.encode(), time_s, body)
    signed = (base64.b64encode(hmac.digest(secret, content, "sha256")).decode() for secret in secrets)
    return " ".join(f"v1,{signature}" for signature in signed)


def _secret(word: str, source: str) -> bytes:
    try:
        secret = base64.b64decode(word.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ForwardProblem(f"{source}: not whsec_ and base64; {_MAKE_ONE}") from None
    if not _LEAST_BYTES <= len(secret) <= _MOST_BYTES:
        raise ForwardProblem(
            f"{source}: a secret of {len(secret)} bytes; {_LEAST_BYTES} to {_MOST_BYTES} are allowed; {_MAKE_ONE}"
        )
    return secret
