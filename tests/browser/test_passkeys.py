"""Passkeys, made and used by a real browser with an authenticator that it simulates."""

from collections.abc import Iterator

import pytest
from django.conf import global_settings
from django.conf import settings as django_settings
from django.test import Client
from playwright.sync_api import Browser, CDPSession, expect
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.second_factors import second_factors_of
from bench.browser import Watched, open_tab
from tests.accounts.rows import PASSWORD, new_member, new_team
from tests.flows.processes import RunningGateway

pytestmark = pytest.mark.time_limit_s(90)
DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
REFUSED = "does not match an account that may sign in"


@pytest.fixture
def person(committed: None, settings: Settings) -> User:
    """Somebody whose password is hashed in earnest: the server, a process of its own, has to know it."""
    settings.PASSWORD_HASHERS = global_settings.PASSWORD_HASHERS
    member = new_member(new_team())
    member.set_password(PASSWORD)
    member.save(update_fields=["password"])
    return member


@pytest.fixture
def tab(browser: Browser, portal: RunningGateway, committed: None) -> Iterator[Watched]:
    """A tab that reaches the portal by a name, as passkeys need."""
    with open_tab(browser, f"http://localhost:{portal.port}") as opened:
        yield opened


def plug_in(tab: Watched) -> tuple[CDPSession, str]:
    """Give the tab a device that holds passkeys. Returns: what steers it, and its id."""
    steering = tab.page.context.new_cdp_session(tab.page)
    steering.send("WebAuthn.enable")
    added = steering.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
    return steering, str(added["authenticatorId"])


def enter(tab: Watched, person: User) -> None:
    """Be signed in without the form."""
    client = Client()
    client.force_login(person)
    tab.bring_session(client.cookies[django_settings.SESSION_COOKIE_NAME].value)


def make_passkey(tab: Watched) -> None:
    tab.go("/security/passkeys/")
    tab.page.get_by_label("Name").fill("Work laptop")
    tab.page.get_by_role("button", name="Add the passkey").click()


def sign_out(tab: Watched) -> None:
    tab.page.get_by_role("button", name="Sign out").first.click()
    tab.page.get_by_role("link", name="Sign in").first.wait_for()


def use_passkey(tab: Watched) -> None:
    tab.page.get_by_role("button", name="Use a passkey").click()


def test_passkey_signs_in_alone_and_after_the_password_until_it_is_removed(
    tab: Watched, person: User
) -> None:
    plug_in(tab)
    enter(tab, person)
    make_passkey(tab)
    expect(tab.page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    assert [one.wrap().name for one in second_factors_of(person)] == ["Work laptop"]
    sign_out(tab)

    tab.go("/sign-in/passkey/?next=/keys/")
    use_passkey(tab)
    tab.page.wait_for_url("**/keys/")
    sign_out(tab)

    tab.go("/sign-in/")
    tab.page.get_by_label("E-mail address").fill(person.email)
    tab.page.get_by_label("Password", exact=True).fill(PASSWORD)
    tab.page.get_by_role("button", name="Sign in").click()
    tab.page.wait_for_url("**/sign-in/second-factor/")
    use_passkey(tab)
    tab.page.get_by_role("button", name="Sign out").first.wait_for()
    assert tab.faults() == []
    sign_out(tab)

    second_factors_of(person).delete()
    tab.go("/sign-in/passkey/")
    use_passkey(tab)
    expect(tab.page.get_by_text(REFUSED)).to_be_visible()


def test_disabled_person_and_a_device_that_knows_nobody_are_refused(
    tab: Watched, person: User
) -> None:
    steering, device = plug_in(tab)
    enter(tab, person)
    steering.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    make_passkey(tab)
    expect(tab.page.get_by_text("No passkey was used")).to_be_visible()
    assert not second_factors_of(person).exists()
    steering.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": True})
    tab.page.get_by_role("button", name="Add the passkey").click()
    expect(tab.page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    sign_out(tab)
    User.objects.filter(pk=person.pk).update(is_active=False)
    tab.go("/sign-in/passkey/")
    use_passkey(tab)
    expect(tab.page.get_by_text(REFUSED)).to_be_visible()
