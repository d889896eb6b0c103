"""authlib, a client that is none of ours, goes through every flow against a running gateway."""

from collections.abc import Callable

import pytest

from tests.flows.oauth_walks import WALKS
from tests.flows.processes import RunningGateway


@pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS)
def test_authlib_goes_through_the_flow(
    committed: None, gateway: RunningGateway, walk: Callable[[str], None]
) -> None:
    walk(gateway.base_url.removesuffix("/v1"))
