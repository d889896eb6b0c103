"""Every route answers every role as the table says, and another team's object like one that does not exist (T7, T8, T9).

The refused and the admitted ask for the same object of the same team, one after the other, each undone.
"""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connections, transaction
from django.http import HttpResponse
from django.test import Client
from pytest_django import DjangoDbBlocker

from tests.portal.role_table import ROWS, expected
from tests.portal.world import (
    ADMINISTRATOR,
    OUTSIDER,
    OWNER,
    ROLES,
    STRANGER,
    Route,
    World,
    every_route,
    new_world,
)

METHODS = ("get", "post")
# It tells anybody whether this very process could answer calls, which here is chance.
OF_THE_PROCESS = "health-ready"
ROUTES = sorted(
    {
        route
        for route in every_route()
        if not route.name.startswith("admin:") and route.name != OF_THE_PROCESS
    }
)
ADMIN = sorted({route for route in every_route() if route.name.startswith("admin:")})
# What nobody may see and what is not there must not differ in anything but the request's own name and tokens.
OWN_TO_A_REPLY = re.compile(
    rb"csrfmiddlewaretoken\" value=\"\w+|nonce=\"[^\"]+|urn:uuid:[0-9a-f-]{36}|[0-9a-f]{8}-[0-9a-f-]{27}"
)

# A page answers 200 to whom it issues a key and to whom it shows the form again.
KEY_SHOWN = re.compile(rb"lk_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}")


@dataclass(frozen=True)
class Asked:
    """One of everything, and a browser of each role."""

    world: World
    clients: dict[str, Client]

    def answer(self, role: str, method: str, route: Route, address: str = "") -> HttpResponse:
        """What the role is told, with whatever it did undone."""
        address = address or self.world.address_of(route)
        body: dict[str, Any] = {"data": self.world.bodies.get(route.name, {})}
        if address.startswith(("/api/v1/", "/v1/")):
            body["content_type"] = "application/json"
        # Limits of a caller are not what is asked here.
        cache.clear()
        with transaction.atomic():
            client = copy.copy(self.clients[role])
            client.cookies = copy.copy(client.cookies)
            reply = getattr(client, method)(address, **(body if method == "post" else {}))
            if reply.streaming and not reply.is_async:
                list(reply.streaming_content)
            transaction.set_rollback(True)
        answered: HttpResponse = reply
        return answered


@pytest.fixture(scope="module")
def asked(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Asked]:
    """Committed, and made once: every answer is undone."""
    with django_db_blocker.unblock():
        world = new_world()
        clients = {role: Client(raise_request_exception=False) for role in ROLES}
        for role, person in world.people.items():
            if person is not None:
                clients[role].force_login(person)
        yield Asked(world, clients)
        connections.close_all()


def shown(reply: HttpResponse) -> str:
    if reply.status_code == 302 and reply["Location"].startswith(("/sign-in/", "/admin/login/")):
        return "login"
    if not reply.streaming and KEY_SHOWN.search(reply.content):
        return "key"
    return str(reply.status_code)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_role_is_answered_as_the_table_says(asked: Asked, route: Route) -> None:
    told = {
        method: {role: shown(asked.answer(role, method, route)) for role in ROLES}
        for method in METHODS
    }
    line = ", ".join(f'"{" ".join(told[method].values())}"' for method in METHODS)
    assert route.name in ROWS, (
        f'Look at it, then add to role_table.py:\n    "{route.name}": ({line}),'
    )
    for method in METHODS:
        assert told[method] == expected(route.name, method), method


def test_table_has_no_row_without_a_route() -> None:
    assert set(ROWS) == {route.name for route in ROUTES}


HIDDEN = [
    (method, route)
    for method in METHODS
    for route in ROUTES
    if "<" in route.pattern
    and route.name in ROWS
    and expected(route.name, method)[OUTSIDER] == "404"
]


@pytest.mark.parametrize("hidden", HIDDEN, ids=lambda hidden: f"{hidden[0]} {hidden[1].name}")
def test_object_of_another_team_is_answered_like_one_that_is_not_there(
    asked: Asked, hidden: tuple[str, Route]
) -> None:
    method, route = hidden
    theirs = asked.answer(OUTSIDER, method, route)
    missing = asked.answer(OUTSIDER, method, route, asked.world.nowhere(route))
    assert theirs.status_code == missing.status_code == 404
    assert OWN_TO_A_REPLY.sub(b"", theirs.content) == OWN_TO_A_REPLY.sub(b"", missing.content)
    assert theirs.headers.keys() == missing.headers.keys()


@pytest.mark.parametrize("route", ADMIN, ids=lambda route: f"{route.name} {route.pattern}")
def test_admin_is_for_administrators_alone(asked: Asked, route: Route) -> None:
    for method in METHODS:
        roles = (STRANGER, OUTSIDER, OWNER, ADMINISTRATOR)
        told = {role: shown(asked.answer(role, method, route)) for role in roles}
        assert told[STRANGER] == "login", method
        assert told[OUTSIDER] == told[OWNER] == "404", method
        assert told[ADMINISTRATOR] not in {"login", "403", "500"}, method
        assert told[ADMINISTRATOR] != "404" or is_closed(route), method


def is_closed(route: Route) -> bool:
    """What the admin offers to nobody: changing by hand what writes and the clock make, and what is not there."""
    closed = (
        "_add",
        "_delete",
        "_history",
        "_act",
        "usagehour_change",
        "usageday_change",
        ":app_list",
    )
    return route.name.endswith(closed) or not route.name.removeprefix("admin:")
