import pytest
from django.conf import global_settings
from pytest_django.fixtures import Settings

from accounts.models import User
from tests.accounts.rows import PASSWORD
from tests.browser.conftest import OpenAs
from tests.portal.world import MEMBER, World

pytestmark = pytest.mark.time_limit_s(90)


@pytest.fixture
def person(world: World, committed: None, settings: Settings) -> User:
    """A member whose password is hashed in earnest: the server, a process of its own, has to know it."""
    settings.PASSWORD_HASHERS = global_settings.PASSWORD_HASHERS
    member = world.people[MEMBER]
    assert member is not None
    member.set_password(PASSWORD)
    member.save(update_fields=["password"])
    return member


def test_person_signs_in_and_out_by_keyboard_alone(open_as: OpenAs, person: User) -> None:
    tab = open_as(None)
    tab.go("/sign-in/")
    tab.page.get_by_label("E-mail address").focus()
    tab.page.keyboard.type(person.email)
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.type(PASSWORD)
    tab.page.keyboard.press("Enter")
    tab.page.get_by_role("button", name="Sign out").wait_for()
    tab.page.get_by_role("button", name="Sign out").first.focus()
    tab.page.keyboard.press("Enter")
    tab.page.get_by_role("link", name="Sign in").first.wait_for()
    assert tab.faults() == []
