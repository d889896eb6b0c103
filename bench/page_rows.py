"""Rows for the proof of the pages: one of everything, and a team with thousands of keys."""

from typing import Any

from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from bench.browser import NO_PAGES
from bench.key_rows import copy_key
from tests.accounts.rows import PASSWORD
from tests.models_registry.rows import new_offer
from tests.portal.role_table import ROWS, expected
from tests.portal.world import (
    ADMINISTRATOR,
    AUDITOR,
    MANAGER,
    MEMBER,
    OWNER,
    World,
    every_route,
    new_world,
)
from tests.signed_in import leave_proof

ROLES = (OWNER, MANAGER, MEMBER, AUDITOR, ADMINISTRATOR)
HOST = "127.0.0.1"
_clients: dict[str, Client] = {}


def make_pages(*, keys: int) -> dict[str, Any]:
    """Make the rows; return each page's role, name and path, and how to sign in."""
    world = new_world()
    copy_key(world.key, count=keys)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return {
        "pages": [*(row for role in ROLES for row in _pages(world, role)), *_admin_pages(world)],
        "cookies": {role: _signed_in(world, role) for role in ROLES},
        "owner": {"email": _person(world, OWNER).email, "password": PASSWORD},
        "ask_path": f"/ask/{new_offer().name}/",
    }


def count_queries(*, role: str, path: str) -> int:
    """How many queries a page takes, once whatever is kept between requests is there."""
    _clients[role].get(path, headers={"host": HOST})
    with CaptureQueriesContext(connection) as queries:
        _clients[role].get(path, headers={"host": HOST})
    return len(queries)


def _pages(world: World, role: str) -> list[tuple[str, str, str]]:
    own = {name for name in ROWS if ":" not in name and expected(name, "get")[role] == "200"}
    return [
        (role, route.name, world.address_of(route))
        for route in every_route()
        if route.name in own - NO_PAGES
    ]


def _admin_pages(world: World) -> list[tuple[str, str, str]]:
    """The admin's home, and of each part its list, its form, an object's page and all that can be done to it."""
    found = [("admin:index", reverse("admin:index"))]
    parts: dict[Any, Any] = admin.site._registry  # noqa: SLF001 - there is no other way to the parts.
    for model, part in parts.items():
        name = model._meta.label_lower.replace(".", "_")  # noqa: SLF001 - Django's own name for it.
        pages = ["changelist", *(["add"] if part.add_act else [])]
        found += [(f"admin:{name}_{page}", reverse(f"admin:{name}_{page}")) for page in pages]
        if (place := world.objects.get(name)) is not None:
            found.append((f"admin:{name}_change", reverse(f"admin:{name}_change", args=[place])))
            found += [
                (f"admin:{name} {act.name}", reverse(f"admin:{name}_act", args=[place, act.name]))
                for act in part.acts
            ]
    return [(ADMINISTRATOR, name, path) for name, path in found]


def _signed_in(world: World, role: str) -> str:
    client = _clients[role] = Client()
    client.force_login(_person(world, role))
    leave_proof(client, _person(world, role))
    return str(client.cookies["sessionid"].value)


def _person(world: World, role: str) -> User:
    person = world.people[role]
    assert person is not None
    return person
