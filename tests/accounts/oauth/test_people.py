"""A person allows a client in a browser, for one team: the consent page, the code, the tokens, and what ends them."""

import uuid
from typing import Any

import pytest

from accounts.audit import COMMAND
from accounts.models import AuditEntry, OAuthAccessToken, OAuthGrant, OAuthRefreshToken
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.oauth.issuer import issuer, resource_of
from accounts.ways_in.proven import Door
from accounts.writes.oauth_clients import disable_client
from accounts.writes.people import disable_person, enable_person
from accounts.writes.teams import add_member, disable_team, remove_member
from portal.lib.clock import utc_now
from tests.accounts.oauth.world import (
    REDIRECT,
    Visit,
    basic,
    claims_of,
    minutes,
    new_web_client,
    post,
    said,
    sent,
)
from tests.accounts.rows import REASON, new_member, new_person, new_team
from tests.asking_api import Asker, code_of, data_of
from tests.proxy.loading import loaded

pytestmark = pytest.mark.django_db


def test_person_allows_a_client_for_one_team_and_it_acts_for_them_there() -> None:
    visit = Visit.of(new_web_client(Scope.CHAT, Scope.MANAGE))
    other = new_team()
    add_member(other, person=visit.person, role=Role.OWNER, actor=COMMAND)
    page = visit.browser().get(visit.address()).content.decode()
    for shown in ("Notebook", visit.registered.client.team.name, visit.team.name, other.name):
        assert shown in page
    reply = visit.decide()
    assert reply.status_code == 303
    assert reply["Location"].startswith(REDIRECT)
    assert reply["Referrer-Policy"] == "no-referrer"
    found = sent(reply)
    assert found["state"] == "of the client"
    assert found["iss"] == issuer()
    tokens = said(visit.exchange(found["code"]))
    text = tokens["access_token"]
    assert set(claims_of(text)["aud"]) == {resource_of(door) for door in Door}
    principal = loaded(text)
    assert principal is not None
    assert (principal.person_id, principal.team_id) == (visit.person.pk, visit.team.pk)
    asker = Asker(text=text)
    assert asker.get(f"teams/{visit.team.slug}").status_code == 200
    assert code_of(asker.get(f"teams/{other.slug}")) == "not_found"
    assert AuditEntry.objects.filter(
        tag=AuditTag.OAUTH_AUTHORIZED, actor_id=visit.person.pk, team_id=visit.team.pk
    ).exists()


def test_token_begets_no_key_that_would_outlive_it_and_its_client() -> None:
    visit = Visit.of(new_web_client(Scope.CHAT, Scope.MANAGE))
    body = {
        "team": visit.team.slug,
        "name": "app",
        "scopes": ["chat"],
        "expires_at": (utc_now() + minutes(5)).isoformat(),
    }
    by_token = Asker(text=visit.tokens()["access_token"])
    assert code_of(by_token.post("keys", body)) == "forbidden"
    by_session = Asker(person=visit.person)
    made = data_of(by_session.post("keys", body), 201)
    rotate = f"keys/{made['id']}/rotate"
    assert code_of(by_token.post(rotate, {})) == "forbidden"
    assert by_session.post(rotate, {}).status_code == 200


def test_consent_page_may_send_its_form_on_to_the_client_and_no_other_page_may() -> None:
    visit = Visit.of(new_web_client())
    browser = visit.browser()
    policy = browser.get(visit.address())["Content-Security-Policy"]
    assert "form-action 'self' https://app.corp.example" in policy
    assert "app.corp.example" not in browser.get("/")["Content-Security-Policy"]


def test_denied_is_told_to_the_client_without_a_code() -> None:
    reply = Visit.of(new_web_client()).decide("deny")
    assert sent(reply) == {"error": "access_denied", "state": "of the client", "iss": issuer()}


def test_stranger_signs_in_first_and_a_form_without_the_token_against_forgery_is_refused() -> None:
    from django.test import Client  # noqa: PLC0415 - two browsers unlike the others.

    visit = Visit.of(new_web_client())
    assert Client().get(visit.address())["Location"].startswith("/sign-in/?next=")
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(visit.person)
    form = {"decision": "allow", "team": str(visit.team.pk)}
    assert browser.post(visit.address(), form).status_code == 403
    assert not OAuthGrant.objects.filter(user=visit.person).exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": str(uuid.uuid4())},
        {"client_id": None},
        {"client_id": "no\x00body"},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": REDIRECT + "/more"},
        {"redirect_uri": REDIRECT + "?more=1"},
        {"redirect_uri": REDIRECT + "#more"},
        {"redirect_uri": REDIRECT.upper()},
        {"redirect_uri": REDIRECT.replace("https", "http")},
        {"redirect_uri": REDIRECT.replace("app.", "user@app.")},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": [REDIRECT, "https://evil.example/"]},
    ],
)
def test_unknown_client_and_wrong_redirect_read_the_same_page_and_send_nobody_on(
    changed: dict[str, Any],
) -> None:
    visit = Visit.of(new_web_client())
    browser = visit.browser()
    assert browser.get(visit.address()).status_code == 200
    unknown = browser.get(visit.address(client_id=str(uuid.uuid4())))
    for reply in (browser.get(visit.address(**changed)), visit.decide(**changed)):
        assert reply.status_code == 400
        assert "Location" not in reply
        assert reply.content == unknown.content


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unauthorized_client"),
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": "embeddings"}, "invalid_scope"),
        ({"scope": "administer"}, "invalid_scope"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
    ],
)
def test_what_is_not_offered_is_told_to_the_client(changed: dict[str, Any], error: str) -> None:
    visit = Visit.of(new_web_client())
    for reply in (visit.browser().get(visit.address(**changed)), visit.decide(**changed)):
        assert reply.status_code == 303
        assert sent(reply)["error"] == error
        assert sent(reply)["iss"] == issuer()
        assert "code" not in sent(reply)


def test_team_has_to_be_one_in_which_the_person_may_have_credentials() -> None:
    visit = Visit.of(new_web_client())
    audited = new_team()
    add_member(audited, person=visit.person, role=Role.AUDITOR, actor=COMMAND)
    for team in (new_team(), audited):
        form = {"decision": "allow", "team": str(team.pk)}
        reply = visit.browser().post(visit.address(), form)
        assert reply.status_code == 200
        assert team.name not in reply.content.decode()
    assert not OAuthGrant.objects.filter(user=visit.person).exists()
    assert visit.code()


def test_administering_is_for_administrators_by_a_client_that_was_allowed_it() -> None:
    registered = new_web_client(Scope.MANAGE, Scope.ADMINISTER)
    visit = Visit.of(registered)
    assert sent(visit.decide(scope="administer"))["error"] == "invalid_scope"
    assert visit.tokens()["scope"] == "manage"
    visit.person.is_staff = visit.person.is_superuser = True
    visit.person.save()
    assert sent(Visit(new_web_client(), visit.team, visit.person).decide(scope="administer"))[
        "error"
    ]
    text = visit.tokens(scope="administer")["access_token"]
    asker = Asker(text=text)
    assert asker.get("admin/teams").status_code == 200
    visit.person.is_superuser = False
    visit.person.save()
    assert asker.get("admin/teams").status_code == 403


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": "a" * 50},
        {"code_verifier": None},
        {"redirect_uri": REDIRECT + "/"},
        {"redirect_uri": None},
        {"code": "another"},
        {"client_id": "another"},
    ],
)
def test_code_is_exchanged_as_it_was_asked_for_or_not_at_all(changed: dict[str, Any]) -> None:
    visit = Visit.of(new_web_client())
    changed = dict(changed)
    if "client_id" in changed:
        changed = {"client_id": new_web_client().client.client_id}
    code = visit.code()
    reply = visit.exchange(changed.pop("code", code), **changed)
    assert said(reply, 400)["error"] in {"invalid_grant", "invalid_request"}
    assert said(visit.exchange(code))["access_token"]


def test_code_is_over_after_a_minute_and_is_stored_nowhere() -> None:
    visit = Visit.of(new_web_client())
    code = visit.code()
    grants = OAuthGrant.objects.filter(user=visit.person)
    assert not grants.filter(code=code).exists()
    assert grants.get().expires <= utc_now() + minutes(1)
    grants.update(expires=utc_now())
    assert said(visit.exchange(code), 400)["error"] == "invalid_grant"


def test_code_used_twice_ends_what_came_of_it() -> None:
    visit = Visit.of(new_web_client())
    code = visit.code()
    tokens = said(visit.exchange(code))
    newer = said(visit.refresh(tokens["refresh_token"]))
    assert loaded(newer["access_token"]) is not None
    assert said(visit.exchange(code), 400)["error"] == "invalid_grant"
    assert loaded(newer["access_token"]) is None
    assert said(visit.refresh(newer["refresh_token"]), 400)["error"] == "invalid_grant"
    assert AuditEntry.objects.filter(tag=AuditTag.OAUTH_REPLAYED, team_id=visit.team.pk).exists()
    assert loaded(visit.tokens()["access_token"]) is not None


def test_refresh_token_is_replaced_and_the_old_one_used_again_ends_the_family() -> None:
    visit = Visit.of(new_web_client())
    first = visit.tokens()
    second = said(visit.refresh(first["refresh_token"]))
    assert second["refresh_token"] != first["refresh_token"]
    assert loaded(first["access_token"]) is None
    assert loaded(second["access_token"]) is not None
    apart = visit.tokens()
    assert said(visit.refresh(first["refresh_token"]), 400)["error"] == "invalid_grant"
    assert loaded(second["access_token"]) is None
    assert said(visit.refresh(second["refresh_token"]), 400)["error"] == "invalid_grant"
    assert loaded(apart["access_token"]) is not None


def test_refresh_may_ask_for_less_once_and_never_for_more() -> None:
    visit = Visit.of(new_web_client())
    tokens = visit.tokens(scope="chat manage")
    less = said(visit.refresh(tokens["refresh_token"], scope="chat"))
    assert claims_of(less["access_token"])["aud"] == resource_of(Door.CALLS)
    again = said(visit.refresh(less["refresh_token"]))
    assert again["scope"] == "chat manage"
    only = visit.tokens(scope="chat")
    assert said(visit.refresh(only["refresh_token"], scope="chat manage"), 400)["error"]


def test_token_for_one_resource_opens_no_other() -> None:
    visit = Visit.of(new_web_client())
    calls = visit.tokens(resource=resource_of(Door.CALLS))
    assert calls["scope"] == "chat"
    assert loaded(calls["access_token"]) is not None
    assert code_of(Asker(text=calls["access_token"]).get("me")) == "invalid_credential"
    manages = visit.tokens(resource=resource_of(Door.MANAGEMENT))["access_token"]
    assert loaded(manages) is None
    assert Asker(text=manages).get("me").status_code == 200
    wider = visit.refresh(calls["refresh_token"], resource=resource_of(Door.MANAGEMENT))
    assert said(wider, 400)["error"] == "invalid_target"


def ended(how: str, visit: Visit, tokens: dict[str, Any]) -> None:
    match how:
        case "revoked":
            form = {"client_id": visit.registered.client.client_id}
            assert post("revoke", token=tokens["refresh_token"], **form).status_code == 200
        case "access revoked":
            form = {"client_id": visit.registered.client.client_id}
            assert post("revoke", token=tokens["access_token"], **form).status_code == 200
        case "left":
            remove_member(visit.person.memberships.get(team=visit.team), actor=COMMAND)
            add_member(visit.team, person=visit.person, role=Role.OWNER, actor=COMMAND)
        case "only audits":
            visit.person.memberships.update(role=Role.AUDITOR)
        case "disabled person":
            disable_person(visit.person, actor=COMMAND, reason=REASON)
        case "disabled team":
            disable_team(visit.team, actor=COMMAND, reason=REASON)
        case "disabled client":
            disable_client(visit.registered.client, actor=COMMAND, reason=REASON)
        case "deleted":
            OAuthRefreshToken.objects.filter(user=visit.person).delete()
            OAuthAccessToken.objects.filter(user=visit.person).delete()


@pytest.mark.parametrize(
    "how",
    [
        "revoked",
        "access revoked",
        "left",
        "disabled person",
        "disabled team",
        "disabled client",
        "deleted",
    ],
)
def test_what_ends_a_right_ends_its_tokens_and_their_renewal(how: str) -> None:
    visit = Visit.of(new_web_client())
    tokens = visit.tokens()
    assert loaded(tokens["access_token"]) is not None
    ended(how, visit, tokens)
    assert loaded(tokens["access_token"]) is None
    assert code_of(Asker(text=tokens["access_token"]).get("me")) == "invalid_credential"
    assert visit.refresh(tokens["refresh_token"]).status_code in (400, 401)
    if how == "disabled person":
        # Enabled again, they allow the client anew: what was issued before may be why they were disabled.
        enable_person(visit.person, actor=COMMAND)
        assert loaded(tokens["access_token"]) is None
        assert visit.refresh(tokens["refresh_token"]).status_code == 400


def test_member_who_may_no_longer_have_credentials_gets_no_new_token() -> None:
    visit = Visit.of(new_web_client())
    tokens = visit.tokens()
    ended("only audits", visit, tokens)
    assert said(visit.refresh(tokens["refresh_token"]), 400)["error"] == "invalid_grant"


def test_person_who_is_enabled_again_does_not_get_old_tokens_back() -> None:
    visit, other = Visit.of(new_web_client()), Visit.of(new_web_client())
    (tokens, code), others = (visit.tokens(), visit.code()), other.tokens()
    disable_person(visit.person, actor=COMMAND, reason=REASON)
    enable_person(visit.person, actor=COMMAND)
    visit.person.refresh_from_db()
    assert loaded(tokens["access_token"]) is None
    assert visit.refresh(tokens["refresh_token"]).status_code == 400
    assert visit.exchange(code).status_code == 400
    assert loaded(visit.tokens()["access_token"]) is not None
    assert other.refresh(others["refresh_token"]).status_code == 200


def test_refresh_token_idle_for_a_month_is_over() -> None:
    visit = Visit.of(new_web_client())
    tokens = visit.tokens()
    OAuthAccessToken.objects.filter(user=visit.person).update(expires=utc_now() - minutes(44_000))
    assert said(visit.refresh(tokens["refresh_token"]), 400)["error"] == "invalid_grant"


def test_another_client_can_neither_refresh_revoke_nor_see_a_token() -> None:
    visit = Visit.of(new_web_client(is_public=False))
    owner, secret = visit.registered.client, visit.registered.secret
    tokens = said(visit.exchange(visit.code(), client_secret=secret))
    other = new_web_client(is_public=False)
    theirs, own = basic(other.client, other.secret), basic(owner, secret)
    for name in ("access_token", "refresh_token"):
        assert post("revoke", theirs, token=tokens[name]).status_code == 200
        assert said(post("introspect", theirs, token=tokens[name])) == {"active": False}
        assert said(post("introspect", own, token=tokens[name]))["active"] is True
        assert said(post("introspect", token=tokens[name], client_id=owner.client_id), 401)
    reply = post("token", theirs, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert said(reply, 400)["error"] == "invalid_grant"
    facts = said(post("introspect", own, token=tokens["access_token"]))
    assert facts["sub"] == str(visit.person.pk)
    assert facts["client_id"] == owner.client_id
    assert facts["exp"] > facts["iat"]
    assert post("revoke", own, token=tokens["access_token"]).status_code == 200
    for name in ("access_token", "refresh_token"):
        assert said(post("introspect", own, token=tokens[name])) == {"active": False}
    assert said(post("introspect", own, token="junk")) == {"active": False}
    assert said(post("introspect", own, token=""), 400)["error"] == "invalid_request"


def test_native_program_is_answered_on_loopback_at_any_port_and_a_web_client_is_not() -> None:
    native = new_web_client(redirect_uris=["http://127.0.0.1/done", "http://[::1]/done"])
    visit = Visit.of(native)
    for uri in ("http://127.0.0.1:49152/done", "http://[::1]:8080/done"):
        reply = visit.decide(redirect_uri=uri)
        assert reply["Location"].startswith(uri)
    for uri in ("http://localhost:49152/done", "http://127.0.0.1:1/other", "http://127.0.0.2/done"):
        assert visit.decide(redirect_uri=uri).status_code == 400


def test_public_client_of_a_known_name_is_held_to_its_own_codes() -> None:
    visit, thief = Visit.of(new_web_client()), Visit.of(new_web_client())
    thief.verifier = visit.verifier
    assert said(thief.exchange(visit.code()), 400)["error"] == "invalid_grant"


def test_person_without_a_team_can_only_deny() -> None:
    visit = Visit(new_web_client(), new_team(), new_person())
    assert visit.decide().status_code == 200
    assert sent(visit.decide("deny"))["error"] == "access_denied"
    visit.person = new_member(visit.team)
    assert visit.code()
