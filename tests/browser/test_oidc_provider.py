"""Single sign-on at a provider that is not ours: npm's oidc-provider, with a browser that goes there and back."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from accounts.audit import COMMAND
from accounts.models import Membership, SignOnConnection, SignOnIdentity, User
from accounts.models.teams import Role
from accounts.writes.sign_on import map_group
from bench.browser import NoPackages, install_packages
from tests.accounts.rows import new_name, new_team
from tests.accounts.sign_on_rows import new_connection
from tests.browser.conftest import IS_REQUIRED, not_run
from tests.flows.processes import free_port, run_gateway_at

pytestmark = pytest.mark.time_limit_s(180)
SCRIPT = Path(__file__).with_name("oidc_provider.mjs")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The newest oidc-provider. It comes over the network, so only where that is required."""
    if not IS_REQUIRED:
        not_run("npm packages are fetched with LATCHKEY_REQUIRE_BROWSER=1 alone")
    try:
        return install_packages(tmp_path_factory.mktemp("npm"), "oidc-provider")
    except NoPackages as missing:
        not_run(str(missing))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def give_name(page: Page, name: str) -> None:
    """Sign in at the provider's own page for tests, and agree."""
    page.locator("input[name=login]").fill(name)
    page.locator("input[name=password]").fill("any")
    page.locator("button[type=submit]").click()
    page.locator("button[type=submit]").click()


def test_person_comes_by_an_independent_provider_and_an_unverified_address_does_not(
    library: Path, committed: None, page: Page, tmp_path: Path
) -> None:
    port = free_port()
    connection: SignOnConnection = new_connection(
        issuer=f"http://localhost:{port}", secret="the-secret-of-the-portal"
    )
    team = new_team()
    map_group(connection, group="staff", team=team, role=Role.MEMBER, actor=COMMAND)
    here = free_port()
    settings = {"LATCHKEY_BASE_URL": f"http://localhost:{here}"}
    callback = f"http://localhost:{here}/sign-in/with/{connection.slug}/callback/"
    command = ["node", str(SCRIPT), str(library), str(port), connection.domains[0], callback]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as node,
        run_gateway_at(here, tmp_path, settings),
    ):
        try:
            assert node.stdout is not None
            assert node.stdout.readline() == "ready\n"
            name = new_name("ada")
            page.goto(f"http://localhost:{here}/sign-in/")
            page.locator(f"a[href*='{connection.slug}']").click()
            give_name(page, name)
            page.get_by_role("button", name="Sign out").first.wait_for()
            person = User.objects.get(email=f"{name}@{connection.domains[0]}")
            assert Membership.objects.get(person=person, team=team).role == Role.MEMBER
            page.context.clear_cookies()
            page.goto(f"http://localhost:{here}/sign-in/with/{connection.slug}/")
            give_name(page, new_name("eve"))
            page.get_by_text("That did not sign you in").wait_for()
            assert SignOnIdentity.objects.filter(connection=connection).count() == 1
        finally:
            node.terminate()
