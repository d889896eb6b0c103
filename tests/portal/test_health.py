from collections.abc import Iterator

import pytest
from django.test import Client

from portal.health import DECIDING
from proxy import readiness


@pytest.fixture(autouse=True)
def no_gateway() -> Iterator[None]:
    readiness.withdraw()
    yield
    readiness.withdraw()


def test_live_asks_nobody(client: Client) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.post("/health/live").status_code == 405


# No test here is let near the database: whoever asked it would wait as long as it is stalled.
def test_ready_wants_a_gateway_and_names_its_parts(client: Client) -> None:
    reply = client.get("/health/ready")
    assert reply.status_code == 503
    assert reply.json()["parts"] == {"gateway": False}
    well = dict.fromkeys(DECIDING, True)
    readiness.announce(lambda: well)
    assert client.get("/health/ready").json() == {
        "status": "ready",
        "parts": well,
    }


@pytest.mark.parametrize("part", DECIDING)
def test_gateway_is_not_ready_while_a_deciding_part_is_missing(client: Client, part: str) -> None:
    readiness.announce(lambda: dict.fromkeys(DECIDING, True) | {part: False})
    reply = client.get("/health/ready")
    assert reply.status_code == 503
    assert reply.json()["parts"][part] is False
