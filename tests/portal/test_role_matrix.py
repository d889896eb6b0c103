"""Every route answers every role as the table says, and another team's object like one that does not exist (T8, T9).

No route starts a process or renders what was sent as a template (T10).

The refused and the admitted ask for the same object of the same team, one after the other, each undone. Of the roles that
are answered alike one asks here, by turn from route to route, and each in the proof `gate`.
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
from django.urls import resolve, reverse
from pytest_django import DjangoDbBlocker

from accounts.models.roles import PortalRole
from tests.accounts.rows import new_holder
from tests.portal.admin.world import parts
from tests.portal.role_table import ADMIN_ACTS, ADMIN_PARTS, PORTAL_ROWS, ROWS, expected
from tests.portal.world import (
    ADMINISTRATOR,
    OUTSIDER,
    OWNER,
    RENDERED,
    ROLES,
    STRANGER,
    Route,
    World,
    every_route,
    new_world,
)
from tests.walks import IS_WHOLE
from tests.watched_process import watching

METHODS = ("get", "post")
VERBS = ("put", "patch", "delete")
PORTAL_ROLES = (PortalRole.APPROVER, PortalRole.SECURITY, PortalRole.REGISTRY_ADMIN)
# It tells anybody whether this very process could answer calls, which here is chance.
OF_THE_PROCESS = "health-ready"
ROUTES = sorted(
    {
        route
        for route in every_route()
        if not route.name.startswith("admin:") and route.name != OF_THE_PROCESS
    }
)
OF_ADMINISTRATION = [route for route in ROUTES if route.pattern.startswith("/api/v1/admin/")]
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
        bodies = self.world.bodies
        own = bodies.get(f"{method} {route.name}", bodies.get(route.name, {}))
        body: dict[str, Any] = {"data": own}
        if address.startswith(("/api/v1/", "/v1/")):
            body["content_type"] = "application/json"
        # Limits of a caller are not what is asked here.
        cache.clear()
        with watching() as seen, transaction.atomic():
            client = copy.copy(self.clients[role])
            client.cookies = copy.copy(client.cookies)
            reply = getattr(client, method)(address, **(body if method != "get" else {}))
            if reply.streaming and not reply.is_async:
                list(reply.streaming_content)
            transaction.set_rollback(True)
        assert seen == [], (role, method, address)
        assert reply.streaming or RENDERED not in reply.content, (role, method, address)
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
        for portal_role in PORTAL_ROLES:
            clients[portal_role] = Client(raise_request_exception=False)
            clients[portal_role].force_login(new_holder(portal_role))
        yield Asked(world, clients)
        connections.close_all()


def shown(reply: HttpResponse) -> str:
    if reply.status_code == 302 and reply["Location"].startswith(("/sign-in/", "/admin/login/")):
        return "login"
    if not reply.streaming and KEY_SHOWN.search(reply.content):
        return "key"
    return str(reply.status_code)


def who_asks(route: Route, method: str) -> set[str]:
    """Whose answers are looked at: of the roles that are to be answered alike, one by turn."""
    if IS_WHOLE:
        return set(ROLES)
    turn = ROUTES.index(route) + METHODS.index(method)
    alike: dict[str, list[str]] = {}
    for role, answer in expected(route.name, method).items():
        alike.setdefault(answer, []).append(role)
    return {roles[turn % len(roles)] for roles in alike.values()}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_role_is_answered_as_the_table_says(asked: Asked, route: Route) -> None:
    if route.name not in ROWS:
        told = [
            " ".join(shown(asked.answer(role, method, route)) for role in ROLES)
            for method in METHODS
        ]
        pytest.fail(
            f'Look at it, then add to role_table.py:\n    "{route.name}": ("{told[0]}", "{told[1]}"),'
        )
    for method in METHODS:
        table = expected(route.name, method)
        for role in sorted(who_asks(route, method)):
            assert shown(asked.answer(role, method, route)) == table[role], (role, method)


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


WITH_VERBS = [
    route
    for route in ROUTES
    if "<" in route.pattern and route.name.startswith("api:") and route.name != "api:nothing"
]


def accepts(asked: Asked, verb: str, route: Route) -> bool:
    """Whether the route knows the verb, by what it answers whoever may do most there."""
    roles = (OWNER, ADMINISTRATOR)
    return any(asked.answer(role, verb, route).status_code not in {403, 404, 405} for role in roles)


@pytest.mark.parametrize("route", WITH_VERBS, ids=lambda route: route.name)
def test_no_verb_reaches_another_teams_object(asked: Asked, route: Route) -> None:
    """What owners and administrators change, take away and replace is not there for the owner of another team."""
    for verb in VERBS:
        theirs = asked.answer(OUTSIDER, verb, route)
        if route in OF_ADMINISTRATION:
            assert theirs.status_code == 403, verb
        elif accepts(asked, verb, route):
            missing = asked.answer(OUTSIDER, verb, route, asked.world.nowhere(route))
            # What cannot be read is refused before it is looked for.
            assert theirs.status_code == missing.status_code, verb
            assert theirs.status_code in {400, 404}, verb
            assert OWN_TO_A_REPLY.sub(b"", theirs.content) == OWN_TO_A_REPLY.sub(
                b"", missing.content
            )
        else:
            assert theirs.status_code == 405, verb
        assert asked.answer(STRANGER, verb, route).status_code == 401, verb


def test_every_verb_that_an_operation_declares_was_accepted(asked: Asked) -> None:
    """A verb that nobody succeeds with would have shown nothing above."""
    by_name = {route.name: route for route in WITH_VERBS if route not in OF_ADMINISTRATION}
    declared = {
        (verb, name)
        for name, route in by_name.items()
        for verb in VERBS
        if hasattr(resolve(asked.world.address_of(route)).func.cls, verb)  # type: ignore[attr-defined]
    }
    refused = [one for one in sorted(declared) if not accepts(asked, one[0], by_name[one[1]])]
    assert refused == []
    assert len(declared) >= 8


@pytest.mark.parametrize("route", ADMIN, ids=lambda route: f"{route.name} {route.pattern}")
def test_admin_is_for_administrators_alone(asked: Asked, route: Route) -> None:
    """Strangers are sent away by every page, as tests of the routes show; administrators open them in tests of the pages."""
    # They are closed to everybody else before the method is looked at.
    tried = METHODS if IS_WHOLE else (METHODS[ADMIN.index(route) % 2],)
    for method in METHODS:
        if method in tried:
            assert shown(asked.answer(OWNER, method, route)) == "404", method
        if method == "get" and not IS_WHOLE:
            continue
        told = shown(asked.answer(ADMINISTRATOR, method, route))
        assert told not in {"login", "403", "500"}, method
        assert told != "404" or is_closed(route), method


@pytest.mark.parametrize("route", OF_ADMINISTRATION, ids=lambda route: route.name)
def test_every_portal_role_is_answered_as_its_table_says(asked: Asked, route: Route) -> None:
    told = tuple(
        " ".join(shown(asked.answer(role, method, route)) for role in PORTAL_ROLES)
        for method in METHODS
    )
    assert told == PORTAL_ROWS.get(route.name), f'"{route.name}": {told},'


def test_portal_roles_table_has_no_row_without_a_route() -> None:
    assert set(PORTAL_ROWS) == {route.name for route in OF_ADMINISTRATION}


@pytest.mark.parametrize("role", PORTAL_ROLES)
def test_admin_opens_to_a_portal_role_what_its_table_says(asked: Asked, role: PortalRole) -> None:
    opened, offered = set(), set()
    for model, part in parts().items():
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        pk = asked.world.objects.get(name, "0")
        listed = reverse(f"admin:{name}_changelist")
        if asked.clients[role].get(listed).status_code == 200:
            opened.add(name)
        for act in part.acts:
            page = reverse(f"admin:{name}_act", args=[pk, act.name])
            if asked.clients[role].get(page).status_code == 200:
                offered.add(f"{name} {act.name}")
        if part.add_act and asked.clients[role].get(f"{listed}add/").status_code == 200:
            offered.add(f"{name} add")
    assert opened == set(ADMIN_PARTS[role].split())
    assert offered == set(ADMIN_ACTS[role])


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
