"""A real browser, a real gateway, and people who are signed in. All of it on one worker: browsers are heavy."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest
from django.conf import settings as django_settings
from django.db import connections
from django.test import Client
from playwright.sync_api import Browser, ViewportSize
from pytest_django import DjangoDbBlocker

from accounts.models import User
from bench.browser import (
    NoBrowser,
    NoPackages,
    Watched,
    install_packages,
    open_tab,
    read_axe,
    start_browser,
)
from tests.flows.processes import RunningGateway, run_gateway
from tests.portal.world import World, new_world

IS_REQUIRED = os.environ.get("LATCHKEY_REQUIRE_BROWSER") == "1"
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
OpenAs = Callable[[User | None], Watched]


def not_run(reason: str) -> NoReturn:
    """Name the test as not run; where a browser is required, it has failed."""
    if IS_REQUIRED:
        pytest.fail(f"LATCHKEY_REQUIRE_BROWSER is 1: {reason}")
    pytest.skip(f"not run: {reason}")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, or whatever LATCHKEY_BROWSER names.

    While it is driven an event loop runs in this thread. Django would take that for a view of ours that blocks it, and
    tests that are coroutines could not run, so it ends with this package.
    """
    try:
        with pytest.MonkeyPatch.context() as patch, start_browser() as started:
            patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
            yield started
    except NoBrowser as missing:
        not_run(str(missing))


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The newest npm packages that tests use. They come over the network, so only where they are required."""
    if not IS_REQUIRED:
        not_run("npm packages are fetched with LATCHKEY_REQUIRE_BROWSER=1 alone")
    try:
        return install_packages(tmp_path_factory.mktemp("npm"), "axe-core", "openai")
    except NoPackages as missing:
        not_run(str(missing))


@pytest.fixture(scope="session")
def axe(modules: Path) -> str:
    return read_axe(modules)


@pytest.fixture(scope="session")
def axe_if_required(request: pytest.FixtureRequest) -> str:
    """The source of axe-core where it is required, and nothing where one test says that it was not run."""
    return str(request.getfixturevalue("axe")) if IS_REQUIRED else ""


@pytest.fixture(scope="session")
def portal(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """The server as browsers reach it, by a name that passkeys can be bound to."""
    folder = tmp_path_factory.mktemp("portal")
    with run_gateway(folder, LATCHKEY_BASE_URL="http://localhost") as running:
        yield running


@pytest.fixture(scope="session")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> World:
    """One of everything, committed."""
    with django_db_blocker.unblock():
        made = new_world()
        connections.close_all()
    return made


@pytest.fixture
def committed(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let the test read and commit."""
    with django_db_blocker.unblock():
        yield
        connections.close_all()


@pytest.fixture
def open_as(browser: Browser, portal: RunningGateway, committed: None) -> Iterator[OpenAs]:
    """Opens a tab in which somebody is signed in, without the form."""
    with ExitStack() as stack:
        yield lambda person: open_signed_in(stack, browser, portal, person)


@pytest.fixture(scope="package")
def kept_tabs(browser: Browser) -> Iterator[tuple[ExitStack, dict[User | None, Watched]]]:
    """Tabs that stay open, by whoever is signed in, with what closes them."""
    with ExitStack() as stack:
        yield stack, {}


@pytest.fixture
def tab_of(
    kept_tabs: tuple[ExitStack, dict[User | None, Watched]],
    browser: Browser,
    portal: RunningGateway,
    committed: None,
) -> OpenAs:
    """The tab of somebody who goes from page to page, as people do: what pages share is fetched once."""
    stack, tabs = kept_tabs

    def take(person: User | None) -> Watched:
        if person not in tabs:
            tabs[person] = open_signed_in(stack, browser, portal, person)
        tabs[person].page.set_viewport_size(DESKTOP)
        return tabs[person]

    return take


def open_signed_in(
    stack: ExitStack, browser: Browser, portal: RunningGateway, person: User | None
) -> Watched:
    """A tab that the stack closes."""
    tab = stack.enter_context(open_tab(browser, f"http://127.0.0.1:{portal.port}"))
    if person is not None:
        client = Client()
        client.force_login(person)
        tab.bring_session(client.cookies[django_settings.SESSION_COOKIE_NAME].value)
    return tab
