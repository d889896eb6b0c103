import pytest

from tests.accounts.rows import PASSWORD
from tests.browser.conftest import OpenAs
from tests.portal.world import MEMBER, World

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.time_limit_s(90)]


def test_person_signs_in_and_out_by_keyboard_alone(open_as: OpenAs, world: World) -> None:
    tab, person = open_as(None), world.people[MEMBER]
    assert person is not None
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
