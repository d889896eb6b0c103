"""Every page that somebody can open, in a real browser: nothing fails, nothing comes from elsewhere, everybody can use it."""

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser

from bench.browser import NO_PAGES, NOT_OUR_OWN, THEMES, Watched, open_tab
from tests.browser.conftest import OpenAs
from tests.flows.processes import RunningGateway
from tests.portal.role_table import ROWS, expected
from tests.portal.world import (
    ADMINISTRATOR,
    AUDITOR,
    MANAGER,
    MEMBER,
    OWNER,
    Route,
    World,
    every_route,
)

pytestmark = pytest.mark.time_limit_s(90)
# What somebody who may do less in the team sees otherwise than its owner, and so does an administrator outside it.
SEEN_OTHERWISE = {
    MANAGER: {"home", "team"},
    MEMBER: {"home", "keys", "request", "team", "usage"},
    AUDITOR: {"calls", "home", "keys", "model", "team"},
    ADMINISTRATOR: {"home", "request"},
}
PHONE_PX = 360


def pages_of(role: str) -> set[Route]:
    """The portal's own pages that this role can open."""
    open_to = {name for name in ROWS if ":" not in name and expected(name, "get")[role] == "200"}
    return {route for route in every_route() if route.name in open_to - NO_PAGES}


def pages_seen_otherwise(role: str) -> set[Route]:
    """What this role sees and the owner does not, or not so."""
    named = {route for route in pages_of(role) if route.name in SEEN_OTHERWISE[role]}
    return named | pages_of(role) - pages_of(OWNER)


PAGES = [
    *((OWNER, route) for route in sorted(pages_of(OWNER))),
    *((role, route) for role in SEEN_OTHERWISE for route in sorted(pages_seen_otherwise(role))),
]
ADMIN_PAGES = sorted(
    route
    for route in every_route()
    if route.name.startswith("admin:") and route.name.endswith((":index", "_changelist"))
)


@pytest.mark.parametrize("page", PAGES, ids=[f"{role}-{route.name}" for role, route in PAGES])
def test_page_runs_clean_for_everybody_on_every_screen(
    tab_of: OpenAs, world: World, axe_if_required: str, page: tuple[str, Route]
) -> None:
    role, route = page
    tab = tab_of(world.people[role])
    assert_clean(tab, world.address_of(route), axe_if_required if is_our_own(route) else "")
    assert tab.page.locator("h1").count() == is_our_own(route)


@pytest.mark.parametrize("route", ADMIN_PAGES, ids=[route.name for route in ADMIN_PAGES])
def test_page_of_the_admin_runs_clean_for_everybody_on_every_screen(
    tab_of: OpenAs, world: World, axe_if_required: str, route: Route
) -> None:
    tab = tab_of(world.people[ADMINISTRATOR])
    assert_clean(tab, world.address_of(route), axe_if_required)


def assert_clean(tab: Watched, path: str, axe: str) -> None:
    """The page runs without a fault, is usable by everybody, if axe is there to tell, and fits a phone."""
    assert tab.go(path) == 200
    assert tab.faults() == []
    if axe:
        assert [found for theme in THEMES for found in tab.violations(axe, theme)] == []
    tab.page.set_viewport_size({"width": PHONE_PX, "height": 740})
    assert tab.overflow_px() == 0


def is_our_own(route: Route) -> bool:
    return route.name not in NOT_OUR_OWN


def test_key_is_chosen_in_the_list_of_the_admin_to_be_revoked(
    open_as: OpenAs, world: World
) -> None:
    tab = open_as(world.people[ADMINISTRATOR])
    tab.go("/admin/accounts/apikey/")
    tab.page.get_by_label(f"Select {world.key}").check()
    tab.page.locator("select[name=action]").select_option("revoke")
    tab.page.get_by_role("button", name="Run").click()
    tab.page.get_by_text("This one is chosen:").wait_for()
    assert tab.page.locator(".lk-list").inner_text().strip() == str(world.key)
    assert tab.faults() == []


def test_admin_is_gone_through_without_scripts_on_a_phone(
    browser: Browser, portal: RunningGateway, committed: None, world: World
) -> None:
    client = Client()
    person = world.people[ADMINISTRATOR]
    assert person is not None
    client.force_login(person)
    address = f"http://127.0.0.1:{portal.port}"
    with open_tab(browser, address, width=PHONE_PX, java_script_enabled=False) as tab:
        tab.bring_session(client.cookies[settings.SESSION_COOKIE_NAME].value)
        tab.go("/admin/")
        tab.page.get_by_text("Menu", exact=True).click()
        tab.page.get_by_role("link", name="Usage by day").click()
        tab.page.wait_for_url("**/admin/proxy/usageday/")
        assert tab.faults() == []


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
