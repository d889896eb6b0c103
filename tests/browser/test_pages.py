"""Every page that somebody can open, in a real browser: nothing fails, nothing comes from elsewhere, everybody can use it."""

import pytest

from bench.browser import NOT_OUR_OWN, THEMES
from tests.browser.conftest import OpenAs
from tests.portal.role_table import ROWS, expected
from tests.portal.world import ADMINISTRATOR, OWNER, Route, World, every_route

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.time_limit_s(90)]
# They answer 200, and are no pages.
NO_PAGES = {"health-live", "health-ready", "usage-csv", "api-schema"}
# What an administrator outside the team sees otherwise than its owner.
OF_ADMINISTRATORS = {"home", "request"}
PHONE_PX = 360


def pages_of(role: str) -> set[Route]:
    """The portal's own pages that this role can open."""
    open_to = {name for name in ROWS if ":" not in name and expected(name, "get")[role] == "200"}
    return {route for route in every_route() if route.name in open_to - NO_PAGES}


SEEN_OTHERWISE = {route for route in pages_of(ADMINISTRATOR) if route.name in OF_ADMINISTRATORS}
PAGES = [
    *((OWNER, route) for route in sorted(pages_of(OWNER))),
    *(
        (ADMINISTRATOR, route)
        for route in sorted(SEEN_OTHERWISE | pages_of(ADMINISTRATOR) - pages_of(OWNER))
    ),
]


@pytest.mark.parametrize("page", PAGES, ids=[f"{role}-{route.name}" for role, route in PAGES])
def test_page_runs_clean_for_everybody_on_every_screen(
    open_as: OpenAs, world: World, axe_if_required: str, page: tuple[str, Route]
) -> None:
    role, route = page
    tab = open_as(world.people[role])
    assert tab.go(world.address_of(route)) == 200
    assert tab.faults() == []
    assert tab.page.locator("h1").count() == (route.name not in NOT_OUR_OWN)
    if axe_if_required and route.name not in NOT_OUR_OWN:
        assert [found for theme in THEMES for found in tab.violations(axe_if_required, theme)] == []
    tab.page.set_viewport_size({"width": PHONE_PX, "height": 740})
    assert tab.overflow_px() == 0


def test_what_is_wrong_with_a_page_is_noticed(open_as: OpenAs, world: World) -> None:
    tab = open_as(world.people[OWNER])
    tab.go("/")
    assert tab.faults() == []
    assert tab.overflow_px() == 0
    tab.page.evaluate(
        "document.body.append(Object.assign(new Image(), {src: 'http://192.0.2.1/x'}))"
    )
    tab.page.evaluate("document.body.setAttribute('style', 'color: red')")
    tab.page.evaluate("console.error('a fault')")
    tab.page.wait_for_timeout(200)
    told = " ".join(tab.faults())
    assert "Content Security Policy" in told
    assert "a fault" in told
    tab.page.evaluate("document.querySelector('main').style.minWidth = '3000px'")
    assert tab.overflow_px() > 0


def test_accessibility_faults_are_noticed(open_as: OpenAs, world: World, axe: str) -> None:
    tab = open_as(world.people[OWNER])
    tab.go("/")
    assert tab.violations(axe, "light") == []
    tab.page.evaluate("document.querySelector('main').append(document.createElement('input'))")
    assert any("label" in found for found in tab.violations(axe, "light"))
