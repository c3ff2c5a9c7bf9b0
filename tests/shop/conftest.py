"""A stand-in for the API, and the shop over it."""

from collections.abc import Iterator

import pytest

from tests.shop.open_shop import OpenShop, open_shop
from tests.shop.standin_api import StandInApi, standing_in


@pytest.fixture
def api() -> Iterator[StandInApi]:
    with standing_in() as standin:
        yield standin


@pytest.fixture
def shop(api: StandInApi) -> Iterator[OpenShop]:
    with open_shop(api.url) as server:
        yield server
