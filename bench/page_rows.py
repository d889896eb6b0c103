"""Rows for the proof of the pages: one of everything, and a team with thousands of keys."""

from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from tests.accounts.rows import PASSWORD
from tests.models_registry.rows import new_offer
from tests.portal.role_table import ROWS, expected
from tests.portal.world import ADMINISTRATOR, OWNER, World, every_route, new_world

NO_PAGES = {"health-live", "health-ready", "usage-csv", "api-schema"}
HOST = "127.0.0.1"
MORE_KEYS = """
    INSERT INTO accounts_apikey (id, public_id, pepper_id, digest, team_id, service_account_id, name, purpose, tags,
        cost_centre, scopes, is_narrowed, networks, created_at, expires_at, revoked_reason)
    SELECT gen_random_uuid(), lpad(n::text, 12, '0'), pepper_id, digest, team_id, service_account_id,
        'Application ' || n, purpose, tags, cost_centre, scopes, is_narrowed, networks,
        created_at - n * interval '1 minute', expires_at + (n %% 300) * interval '1 day', ''
    FROM accounts_apikey, generate_series(1, %s) AS n WHERE id = %s
"""
_clients: dict[str, Client] = {}


def make_pages(*, keys: int) -> dict[str, Any]:
    """Make the rows; return each page's role, name and path, and how to sign in."""
    world = new_world()
    with connection.cursor() as cursor:
        cursor.execute(MORE_KEYS, [keys, world.key.pk])
        cursor.execute("ANALYZE")
    return {
        "pages": [row for role in (OWNER, ADMINISTRATOR) for row in _pages(world, role)],
        "cookies": {role: _signed_in(world, role) for role in (OWNER, ADMINISTRATOR)},
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
    found = [
        (role, route.name, world.address_of(route))
        for route in every_route()
        if route.name in own - NO_PAGES
    ]
    if role == ADMINISTRATOR:
        found += [
            (role, route.name, world.address_of(route))
            for route in every_route()
            if route.name.startswith("admin:") and route.name.endswith(("_changelist", ":index"))
        ]
    return found


def _signed_in(world: World, role: str) -> str:
    client = _clients[role] = Client()
    client.force_login(_person(world, role))
    return str(client.cookies["sessionid"].value)


def _person(world: World, role: str) -> User:
    person = world.people[role]
    assert person is not None
    return person
