"""An example shop over Segmill's API: `python -m examples.shop --help` (docs/shop.md)."""

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from examples.shop.advice import Advisor
from examples.shop.api import Api
from examples.shop.catalogue import SHIPPED, load_catalogue
from examples.shop.events import Events
from examples.shop.server import Shop, ShopServer

KEY = "SEGMILL_SHOP_KEY"


def main() -> None:
    """Serve until Ctrl-C or SIGTERM."""
    given = _parser().parse_args()
    try:
        api = Api(given.api, _key(given.key_file))
        catalogue = load_catalogue(given.catalogue)
    except (OSError, ValueError) as error:
        sys.exit(f"Error: {error}")
    signal.signal(signal.SIGTERM, _stop)
    advisor, events = Advisor(api, catalogue, given.timeout_ms / 1000), Events(api)
    try:
        with ShopServer((given.host, given.port), Shop(catalogue, advisor, events), given.https) as server:
            url = f"http://{given.host}:{server.server_port}"
            print(f"listening at {url}, API {given.api}", file=sys.stderr, flush=True)
            server.serve_forever()
    except KeyboardInterrupt:
        pass
    except OSError as error:
        sys.exit(f"Error: cannot listen at {given.host}, port {given.port}: {error.strerror}")
    finally:
        advisor.close()
        events.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.shop", description="An example shop over Segmill's API.")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen; default: %(default)s, this machine only")
    parser.add_argument("--port", type=int, default=8000, help="0: a free one; default: %(default)s")
    parser.add_argument("--api", default="http://127.0.0.1:8080", metavar="URL", help="default: %(default)s")
    parser.add_argument("--key-file", type=Path, metavar="FILE",
                        help=f"file with the API key, of scopes read and ingest; default: {KEY} of the environment, "
                        "or none")  # fmt: skip
    parser.add_argument("--timeout-ms", type=int, default=300, metavar="MS",
                        help="how long a page waits for recommendations; default: %(default)s")  # fmt: skip
    parser.add_argument("--catalogue", type=Path, default=SHIPPED, metavar="FILE", help="default: that of the example")
    parser.add_argument("--https", action="store_true",
                        help="visitors come by https, through a proxy: cookies are for https alone")  # fmt: skip
    return parser


def _key(path: Path | None) -> str | None:
    key = path.read_text(encoding="utf-8").strip() if path is not None else os.environ.get(KEY)
    if key is not None and not (key.isascii() and key.isprintable() and key):
        raise ValueError("the API key is empty, or has characters that no key has")
    return key


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
