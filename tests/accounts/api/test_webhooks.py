"""Webhooks and the ways of being told, by the API: a secret once, a URL never, and one's own choices alone."""

import pytest

from accounts.api.notifications import DeliveriesGiven, DeliveriesTaken
from accounts.models import Webhook
from accounts.models.notifications import CHOSEN_KINDS
from accounts.models.teams import Role
from tests.accounts.rows import new_team, new_webhook
from tests.asking_api import code_of, data_of, fields_of, member_of

pytestmark = pytest.mark.django_db
NEW = {
    "name": "On call",
    "format": "signed",
    "url": "https://hooks.corp.example/canary",
    "kinds": ["key_ending"],
}


def test_secret_is_answered_once_and_the_url_never() -> None:
    team = new_team()
    manager = member_of(team, Role.MANAGER)
    path = f"teams/{team.slug}/webhooks"
    made = data_of(manager.post(path, NEW), 201)
    assert made["secret"].startswith("lkwh_")
    [listed] = data_of(manager.get(path))["data"]
    assert listed == {name: value for name, value in made.items() if name != "secret"}
    assert "canary" not in str(listed) + str(made)
    assert fields_of(manager.post(path, NEW | {"name": "x", "url": "http://10.0.0.1/"})) == {"url"}

    elsewhere = member_of(new_team(), Role.OWNER)
    assert code_of(elsewhere.delete(f"webhooks/{made['id']}")) == "not_found"
    assert code_of(member_of(team).get(path)) == "forbidden"
    assert manager.delete(f"webhooks/{made['id']}").status_code == 204
    assert not Webhook.objects.filter(team=team).exists()
    assert code_of(manager.delete(f"webhooks/{new_webhook(new_team()).pk}")) == "not_found"


def test_choices_are_ones_own() -> None:
    team = new_team()
    member, other = member_of(team), member_of(team)
    chosen = data_of(member.patch("me/notifications", {"limit_alert": "daily"}))
    assert chosen["limit_alert"] == "daily"
    assert data_of(member.get("me/notifications")) == chosen
    assert set(data_of(other.get("me/notifications")).values()) == {"at_once"}
    assert fields_of(member.patch("me/notifications", {"password_reset": "portal"})) == {
        "password_reset"
    }
    assert fields_of(member.patch("me/notifications", {"limit_alert": "never"})) == {"limit_alert"}


def test_every_kind_that_can_be_chosen_is_a_member() -> None:
    kinds = {kind.value for kind in CHOSEN_KINDS}
    assert set(DeliveriesTaken().fields) == set(DeliveriesGiven().fields) == kinds
