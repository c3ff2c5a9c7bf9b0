"""How long the URL and the headers of a request may be.

Granian, which reads them, takes URLs of up to 65,534 bytes and 100 lines of headers, and refuses what is longer without
a body. Our own bounds are well below, so that who comes near is told what is wrong.
"""

from collections.abc import Iterable
from typing import Final

from serving.problems import too_long_url, too_many_headers

MOST_URL: Final = 32_768
MOST_LINES: Final = 80
MOST_HEADERS: Final = 65_536


def check_size(path: str, query: str, headers: Iterable[tuple[str, str]]) -> None:
    """Nothing, if they are not too long.

    Args:
        path: unescaped. (Of ids in it there is a bound of their own.)
        query: as it came.
        headers: names and values, those whose bytes are no text left out.

    Raises:
        ProblemError: 414, the URL; 431, the headers.
    """
    if len(path) + len(query) > MOST_URL:
        raise too_long_url(MOST_URL)
    lines = list(headers)
    if len(lines) > MOST_LINES or sum(len(name) + len(value) for name, value in lines) > MOST_HEADERS:
        raise too_many_headers(MOST_LINES, MOST_HEADERS)
