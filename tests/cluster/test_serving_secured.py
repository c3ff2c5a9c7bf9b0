"""The server over TLS: to Redis, and to its clients."""

import http.client
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from jobs.runtime.valkey import EmbeddedValkey
from tests.cluster.certificates import Authority
from tests.cluster.tls_door import tls_door
from tests.serving.served import serve
from tests.serving.small_shop import fill

pytestmark = pytest.mark.cluster


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class TestRedis:
    def test_with_a_password_over_tls(self, tmp_path: Path) -> None:
        """The certificate's authority is named in the address; without it, nothing is read."""
        authority, port = Authority.made(tmp_path / "ca"), free_port()
        with EmbeddedValkey(tmp_path / "v") as valkey:
            fill(valkey.url)
            valkey.client().config_set("requirepass", "a:b/c@d")
            with tls_door(port, authority.server_context(), valkey.socket):
                url = f"rediss://127.0.0.1:{port}"
                options = ("--without-keys", "--without-kafka", "--redis")
                trusting = f"{url}?ssl_ca_certs={authority.certificate}"
                with serve(*options, trusting, SEGMILL_REDIS_PASSWORD="a:b/c@d") as served:
                    assert served.until("/v1/customers/c-1", 200)
                with serve(*options, url, SEGMILL_REDIS_PASSWORD="a:b/c@d") as served:
                    assert served.ask("/readyz").status == 503
                with serve(*options, trusting, SEGMILL_REDIS_PASSWORD="wrong") as served:
                    got = served.ask("/readyz")
                    assert (got.status, "WRONGPASS" in got.json["detail"]) == (503, True)


class TestClients:
    def test_https(self, tmp_path: Path) -> None:
        """With the certificate that is given."""
        authority = Authority.made(tmp_path / "ca")
        pem = authority.server()
        options = ("--without-keys", "--without-kafka", "--redis", f"unix://{tmp_path}/none")
        with serve(*options, "--certificate", str(pem), "--certificate-key", str(pem)) as served:
            assert served.url.startswith("https://")
            trust = ssl.create_default_context(cafile=authority.certificate)
            port = urlsplit(served.url).port
            connection = http.client.HTTPSConnection("127.0.0.1", port, context=trust, timeout=20)
            connection.request("GET", "/healthz")
            assert connection.getresponse().status == 200
            connection.close()
