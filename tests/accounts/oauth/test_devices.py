"""A device without a browser waits for a person who types its code elsewhere (RFC 8628)."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import OAuthDeviceGrant
from accounts.models.keys import Scope
from accounts.oauth.device_grants import INTERVAL_S
from accounts.writes.oauth_clients import ClientGrant, RegisteredClient
from portal.lib.clock import utc_now
from tests.accounts.oauth.world import (
    DEVICE,
    basic,
    minutes,
    new_machine,
    new_web_client,
    post,
    said,
)
from tests.accounts.rows import new_member, new_team
from tests.proxy.loading import loaded

pytestmark = pytest.mark.django_db


def new_device(**facts: Any) -> RegisteredClient:
    return new_web_client(Scope.CHAT, grant=ClientGrant.DEVICE_CODE, redirect_uris=[], **facts)


def begun(registered: RegisteredClient, **form: Any) -> dict[str, Any]:
    return said(post("device-authorization", client_id=registered.client.client_id, **form))


def poll(registered: RegisteredClient, device_code: str) -> Any:
    form = {"grant_type": DEVICE, "client_id": registered.client.client_id}
    return post("token", device_code=device_code, **form)


def waited() -> None:
    """Let the interval between two polls have gone by."""
    OAuthDeviceGrant.objects.update(asked_at=utc_now() - minutes(2))


class Person:
    def __init__(self) -> None:
        self.team = new_team()
        self.person = new_member(self.team)
        self.browser = Client()
        self.browser.force_login(self.person)

    def decide(self, user_code: str, decision: str = "allow") -> Any:
        form = {"user_code": user_code, "decision": decision, "team": str(self.team.pk)}
        return self.browser.post("/oauth/device", form)


def test_device_waits_until_a_person_allows_it_and_gets_its_tokens_once() -> None:
    registered, someone = new_device(), Person()
    answer = begun(registered)
    assert answer["verification_uri_complete"].endswith(answer["user_code"])
    assert answer["interval"] == INTERVAL_S
    assert not OAuthDeviceGrant.objects.filter(device_code=answer["device_code"]).exists()
    assert said(poll(registered, answer["device_code"]), 400)["error"] == "authorization_pending"
    page = someone.browser.get("/oauth/device", {"user_code": answer["user_code"]}).content.decode()
    for shown in ("Notebook", answer["user_code"], someone.team.name):
        assert shown in page
    assert someone.decide(answer["user_code"].lower()).status_code == 302
    tokens = said(poll(registered, answer["device_code"]))
    principal = loaded(tokens["access_token"])
    assert principal is not None
    assert (principal.person_id, principal.team_id) == (someone.person.pk, someone.team.pk)
    assert said(poll(registered, answer["device_code"]), 400)["error"] == "invalid_grant"
    renewed = post(
        "token",
        grant_type="refresh_token",
        client_id=registered.client.client_id,
        refresh_token=tokens["refresh_token"],
    )
    assert loaded(said(renewed)["access_token"]) is not None


def test_denied_device_is_told() -> None:
    registered, someone = new_device(), Person()
    answer = begun(registered)
    someone.decide(answer["user_code"], "deny")
    assert said(poll(registered, answer["device_code"]), 400)["error"] == "access_denied"


def test_device_that_asks_too_often_is_slowed_down_more_each_time() -> None:
    registered = new_device()
    code = begun(registered)["device_code"]
    errors = [said(poll(registered, code), 400)["error"] for _ in range(3)]
    assert errors == ["authorization_pending", "slow_down", "slow_down"]
    grant = OAuthDeviceGrant.objects.get(client_id=registered.client.client_id)
    assert grant.interval == 3 * INTERVAL_S
    waited()
    assert said(poll(registered, code), 400)["error"] == "authorization_pending"


def test_code_is_over_in_time_and_known_to_its_own_client_alone() -> None:
    registered, other, someone = new_device(), new_device(), Person()
    answer = begun(registered)
    assert said(poll(other, answer["device_code"]), 400)["error"] == "invalid_grant"
    OAuthDeviceGrant.objects.filter(client_id=registered.client.client_id).update(expires=utc_now())
    assert said(poll(registered, answer["device_code"]), 400)["error"] == "expired_token"
    assert "No device waits" in someone.decide(answer["user_code"]).content.decode()


def test_two_people_who_type_one_code_decide_once() -> None:
    registered, first, second = new_device(), Person(), Person()
    answer = begun(registered)
    assert first.decide(answer["user_code"]).status_code == 302
    assert "No device waits" in second.decide(answer["user_code"]).content.decode()
    tokens = said(poll(registered, answer["device_code"]))
    principal = loaded(tokens["access_token"])
    assert principal is not None
    assert principal.person_id == first.person.pk


def test_codes_are_not_to_be_guessed() -> None:
    someone = Person()
    replies = [someone.browser.post("/oauth/device", {"user_code": "BCDF-GHJK"}) for _ in range(12)]
    assert replies[0].status_code == 200
    assert replies[-1].status_code == 429


def test_only_a_client_of_devices_begins_and_one_with_a_secret_proves_itself() -> None:
    web, machine, kept = new_web_client(), new_machine(), new_device(is_public=False)
    named = {"client_id": web.client.client_id}
    assert said(post("device-authorization", **named), 400)["error"] == "unauthorized_client"
    for client in (machine.client, kept.client):
        assert post("device-authorization", client_id=client.client_id).status_code == 401
    assert said(post("device-authorization", basic(kept.client, kept.secret), scope="chat"))[
        "user_code"
    ]
    assert post("device-authorization", client_id="nobody").status_code == 401
    form = {"client_id": new_device().client.client_id, "scope": "manage"}
    assert said(post("device-authorization", **form), 400)["error"] == "invalid_scope"
