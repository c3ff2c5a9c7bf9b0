"""An authority of the tests' own, and certificates by it for servers on loopback; made with openssl."""

import os
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_DAYS = 2
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True, slots=True)
class Authority:
    """Files in PEM."""

    folder: Path
    certificate: Path
    """What clients are given."""

    @classmethod
    def made(cls, folder: Path) -> Self:
        """A new one, in a folder of its own."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        certificate = folder / "ca.pem"
        _openssl("req", "-x509", *_NEW_KEY, "-keyout", folder / "ca.key", "-out", certificate,
                 "-days", _DAYS, "-subj", "/CN=An authority of tests")  # fmt: skip
        return cls(folder, certificate)

    def server(self, name: str = "IP:127.0.0.1") -> Path:
        """Key and certificate of a server, in one file; `name` as openssl has it: IP:… or DNS:…"""
        stem = name.replace(":", "-")
        wish, key, signed = (self.folder / f"{stem}.{kind}" for kind in ("csr", "key", "crt"))
        names = self.folder / f"{stem}.names"
        names.write_text(f"subjectAltName={name}\n", encoding="ascii")
        _openssl("req", *_NEW_KEY, "-keyout", key, "-out", wish, "-subj", "/CN=A server of tests")
        _openssl("x509", "-req", "-in", wish, "-CA", self.certificate, "-CAkey", self.folder / "ca.key",
                 "-CAcreateserial", "-days", _DAYS, "-extfile", names, "-out", signed)  # fmt: skip
        both = self.folder / f"{stem}.pem"
        both.touch(mode=0o600)
        both.write_bytes(key.read_bytes() + signed.read_bytes())
        return both

    def client(self, name: str, password: str) -> Path:
        """Key and certificate of a client, as PKCS#12 behind a password (which is in no command line)."""
        both, store = self.server(f"DNS:{name}"), self.folder / f"{name}.p12"
        _openssl("pkcs12", "-export", "-in", both, "-out", store, "-passout", "env:STORE_PASSWORD",
                 STORE_PASSWORD=password)  # fmt: skip
        return store

    def server_context(self, name: str = "IP:127.0.0.1") -> ssl.SSLContext:
        """For a server in Python."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server(name))
        return context


def _openssl(*words: object, **env: str) -> None:
    command = ["openssl", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **env})
    assert done.returncode == 0, done.stderr
