"""T13: no text in an address leads out of where it stands, on any route that takes one."""

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from django.test import Client

from tests.portal.world import ADMINISTRATOR, Route, World, every_route, new_world
from tests.services import ROOT
from tests.walks import IS_WHOLE

pytestmark = pytest.mark.django_db
TEXTS = ("str", "slug", "path", "row", "model_name")
PLACE = re.compile(r"<(?:(\w+):)?(\w+)>")
TRAVERSALS = [
    "../../../../etc/passwd", "..", "../", "../manage.py", "../../manage.py", "..;/manage.py", ";/../manage.py",
    "%2e%2e/manage.py", "..%2fmanage.py", "%252e%252e%252fmanage.py", "..%5cmanage.py", "..\\manage.py", "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "....//....//etc/passwd", "..%c0%afmanage.py", "/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd", "file:///etc/passwd",
    "manage.py%00", "%00", "./manage.py", "~/.ssh/id_rsa", "C:\\Windows\\win.ini", "a/../../manage.py",
]  # fmt: skip
# What the files begin with, or hold, that these would lead to.
OUTSIDE = re.compile(rb"root:.*?:0:0:|execute_from_command_line|DJANGO_SETTINGS_MODULE")


def text_routes() -> list[Route]:
    """The routes that have a place for any text."""
    return sorted(
        {
            route
            for route in every_route()
            if any((found[1] or "str") in TEXTS for found in PLACE.finditer(route.pattern))
        }
    )


def addresses(world: World, routes: list[Route]) -> Iterator[tuple[Route, str]]:
    """The routes' addresses with a traversal in each place for text.

    Places of one kind and name in one namespace are read by the same code: the first has every traversal, the others each
    one by turn, and in the proof `gate` a twelfth.
    """
    met: Counter[tuple[str, str, str]] = Counter()
    for route in routes:
        for place in PLACE.finditer(route.pattern):
            kind = place[1] or "str"
            if kind not in TEXTS:
                continue
            namespace = route.name.rpartition(":")[0]
            before = met[namespace, kind, place[2]]
            met[namespace, kind, place[2]] += 1
            led = route._replace(pattern=route.pattern.replace(place[0], "\0"))
            step = 12 if IS_WHOLE else len(TRAVERSALS)
            for traversal in TRAVERSALS[before % step :: step] if before else TRAVERSALS:
                yield route, world.address_of(led).replace("\0", traversal)


def test_pattern_of_what_stands_outside_finds_it() -> None:
    for file in ("/etc/passwd", "manage.py"):
        assert OUTSIDE.search((ROOT / file).read_bytes())


@pytest.mark.time_limit_s(120)
def test_no_place_for_a_text_leads_to_a_file() -> None:
    world, client = new_world(), Client(raise_request_exception=True)
    person = world.people[ADMINISTRATOR]
    assert person is not None
    client.force_login(person)
    routes = text_routes()
    assert len(routes) > 20
    for route, address in addresses(world, routes):
        reply = client.get(address)
        assert reply.status_code in (301, 302, 400, 401, 404, 405), (route.name, address)
        assert not OUTSIDE.search(reply.getvalue()), address


@pytest.mark.parametrize("folder", ["/static/", "/static/admin/", "/"])
def test_no_address_of_static_files_leads_to_another_file(folder: str) -> None:
    client = Client()
    for traversal in TRAVERSALS:
        reply = client.get(folder + traversal)
        assert not OUTSIDE.search(reply.getvalue()), traversal
        reply.close()
