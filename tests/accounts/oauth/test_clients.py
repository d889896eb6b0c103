"""Registering a client: what it may not hold, who may, and that its secret is shown once."""

import json
import re
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client

from accounts.audit import COMMAND, acting
from accounts.models import AuditEntry, OAuthApplication
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.models.roles import PortalRole
from accounts.models.teams import Role
from accounts.oauth.writes import forget_oauth
from accounts.writes.oauth_clients import (
    ClientGrant,
    RegisteredClient,
    register_client,
    replace_client_secret,
)
from portal.lib.clock import utc_now
from tests.accounts.oauth.world import (
    ASSERTION_TYPE,
    REDIRECT,
    Signer,
    Visit,
    claims_of,
    machine_token,
    minutes,
    new_machine,
    new_web_client,
    post,
    said,
)
from tests.accounts.rows import REASON, new_account, new_holder, new_member, new_person, new_team
from tests.asking_api import Asker, code_of, data_of, fields_of, personal_key
from tests.proxy.loading import loaded

pytestmark = pytest.mark.django_db
WEB = ClientGrant.AUTHORIZATION_CODE
MACHINE = ClientGrant.CLIENT_CREDENTIALS

WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "no name": ("name", {"name": " "}),
    "no scope": ("scopes", {"scopes": []}),
    "no redirect": ("redirect_uris", {"redirect_uris": []}),
    "a redirect without TLS": ("redirect_uris", {"redirect_uris": ["http://app.corp.example/"]}),
    "a redirect to a name for this machine": (
        "redirect_uris",
        {"redirect_uris": ["http://localhost/"]},
    ),
    "a redirect with a wildcard": ("redirect_uris", {"redirect_uris": ["https://*.corp.example/"]}),
    "a redirect with a fragment": ("redirect_uris", {"redirect_uris": [REDIRECT + "#a"]}),
    "a redirect with a person": ("redirect_uris", {"redirect_uris": ["https://a@corp.example/"]}),
    "a redirect with a script": ("redirect_uris", {"redirect_uris": ["javascript:alert(1)"]}),
    "two redirects in one": ("redirect_uris", {"redirect_uris": [f"{REDIRECT} {REDIRECT}"]}),
    "too many redirects": (
        "redirect_uris",
        {"redirect_uris": [REDIRECT + str(n) for n in range(11)]},
    ),
    "an end that is past": ("expires_at", {"expires_at": utc_now() - minutes(1)}),
    "no network": ("networks", {"networks": ["everywhere"]}),
    "a public client with a key": ("is_public", {"is_public": True, "jwks": [Signer().jwk]}),
    "a private key": ("jwks", {"jwks": [Signer().jwk | {"d": "AA"}]}),
    "a secret key": ("jwks", {"jwks": [{"kty": "oct", "k": "AAAA"}]}),
    "a key that is none": ("jwks", {"jwks": [{"kty": "EC", "crv": "P-256", "x": "a", "y": "b"}]}),
    "a text for a key": ("jwks", {"jwks": ["key"]}),
    "too many keys": ("jwks", {"jwks": [Signer().jwk for _ in range(6)]}),
    "a machine without an account": ("service_account", {"grant": MACHINE, "redirect_uris": []}),
}


@pytest.mark.parametrize("name", WRONG)
def test_client_that_may_not_be_is_refused_at_its_field(name: str) -> None:
    field, facts = WRONG[name]
    right: dict[str, Any] = {
        "name": "Notebook",
        "grant": WEB,
        "scopes": [Scope.CHAT],
        "redirect_uris": [REDIRECT],
        "actor": COMMAND,
    }
    team = new_team()
    assert register_client(team, **right).secret
    with pytest.raises(ValidationError) as refused:
        register_client(team, **(right | facts))
    assert field in refused.value.message_dict


def test_machine_has_an_account_of_its_own_team_and_no_right_to_manage() -> None:
    account, other = new_account(), new_account()
    right: dict[str, Any] = {"name": "Job", "grant": MACHINE, "actor": COMMAND}
    assert register_client(account.team, service_account=account, scopes=[Scope.CHAT], **right)
    for facts in (
        {"service_account": other, "scopes": [Scope.CHAT]},
        {"service_account": account, "scopes": [Scope.CHAT, Scope.MANAGE]},
        {"service_account": account, "scopes": [Scope.CHAT], "is_public": True},
        {"service_account": account, "scopes": [Scope.CHAT], "redirect_uris": [REDIRECT]},
    ):
        with pytest.raises(ValidationError):
            register_client(account.team, **right, **facts)  # type: ignore[arg-type]


def test_only_an_administrator_lets_a_client_administer() -> None:
    team = new_team()
    facts: dict[str, Any] = {"name": "Console", "grant": WEB, "redirect_uris": [REDIRECT]}
    scopes = [Scope.MANAGE, Scope.ADMINISTER]
    owner, chief = new_member(team, Role.OWNER), new_person(is_administrator=True)
    with pytest.raises(ValidationError):
        register_client(team, scopes=scopes, actor=acting(owner), **facts)
    assert (
        register_client(team, scopes=scopes, actor=acting(chief), **facts).client.scopes == scopes
    )


def test_database_takes_no_secret_as_it_is_and_no_client_of_nobody() -> None:
    client = new_machine().client
    for wrong in ({"client_secret": "as it is"}, {"service_account": None}):
        with pytest.raises(IntegrityError), transaction.atomic():
            OAuthApplication.objects.filter(pk=client.pk).update(**wrong)


def owner_of(client: OAuthApplication) -> Client:
    browser = Client()
    browser.force_login(new_member(client.team, Role.OWNER))
    return browser


def test_owner_registers_a_client_and_reads_its_secret_once() -> None:
    team = new_team()
    account = new_account(team)
    browser = Client()
    owner = new_member(team, Role.OWNER)
    browser.force_login(owner)
    form = {
        "name": "Nightly job",
        "grant": MACHINE.value,
        "scopes": ["chat"],
        "service_account": str(account.pk),
    }
    page = browser.post(f"/teams/{team.slug}/oauth-clients/", form)
    client = OAuthApplication.objects.get(team=team)
    found = re.search(r"lkcs_[\w-]+", page.content.decode())
    assert found is not None
    assert page["Cache-Control"].startswith("max-age=0")
    for address in ("", f"{client.credential_id}/"):
        shown = browser.get(f"/teams/{team.slug}/oauth-clients/{address}").content.decode()
        assert "Nightly job" in shown
        assert "lkcs_" not in shown
        assert "latchkey_hmac" not in shown
    assert machine_token(RegisteredClient(client, found[0]))["access_token"]
    assert AuditEntry.objects.filter(
        tag=AuditTag.OAUTH_CLIENT_REGISTERED, actor_id=owner.pk, subject_id=client.credential_id
    ).exists()


def test_owner_replaces_the_secret_disables_enables_and_removes() -> None:
    registered = new_machine()
    client = registered.client
    browser, at = (
        owner_of(client),
        f"/teams/{client.team.slug}/oauth-clients/{client.credential_id}/",
    )
    assert loaded(machine_token(registered)["access_token"]) is not None
    page = browser.post(at + "secret/").content.decode()
    found = re.search(r"lkcs_[\w-]+", page)
    assert found is not None
    renewed = type(registered)(client, found[0])
    text = machine_token(renewed)["access_token"]
    browser.post(at + "disable/", {"reason": REASON})
    assert loaded(text) is None
    assert REASON in browser.get(at).content.decode()
    browser.post(at + "enable/")
    assert loaded(machine_token(renewed)["access_token"]) is not None
    browser.post(at + "remove/")
    assert browser.get(at).status_code == 404
    assert not OAuthApplication.objects.filter(pk=client.pk).exists()


def test_client_without_a_secret_gets_none() -> None:
    for client in (new_web_client().client, new_machine(jwks=[Signer().jwk]).client):
        with pytest.raises(ValidationError):
            replace_client_secret(client, actor=COMMAND)


def test_what_is_over_is_forgotten_and_what_goes_on_is_kept() -> None:
    visit = Visit.of(new_web_client())
    tokens = visit.tokens()
    machine_token(new_machine())
    forget_oauth(now=utc_now())
    assert loaded(tokens["access_token"]) is not None
    assert visit.refresh(tokens["refresh_token"]).status_code == 200
    forget_oauth(now=utc_now() + minutes(24 * 60))
    jti = claims_of(tokens["access_token"])["jti"]
    assert not OAuthApplication.objects.filter(oauthaccesstoken__jti=jti).exists()
    # One who stole the old token is still given away by it.
    assert visit.refresh(tokens["refresh_token"]).status_code == 400
    forget_oauth(now=utc_now() + minutes(60 * 24 * 60))
    assert not visit.registered.client.oauthrefreshtoken_set.exists()


def test_owner_registers_by_the_api_when_signed_in_and_not_by_a_key() -> None:
    team = new_team()
    owner = new_member(team, Role.OWNER)
    by_session, by_key = Asker(person=owner), Asker(text=personal_key(owner, team).text)
    account = new_account(team)
    body = {
        "name": "Nightly job",
        "grant": MACHINE.value,
        "scopes": ["chat"],
        "service_account_id": str(account.pk),
    }
    made = data_of(by_session.post(f"teams/{team.slug}/oauth-clients", body), 201)
    client = OAuthApplication.objects.get(credential_id=made["id"])
    assert machine_token(RegisteredClient(client, made["secret"]))["access_token"]
    at = f"oauth-clients/{made['id']}"
    for path, given in (
        (f"teams/{team.slug}/oauth-clients", body),
        (f"{at}/secret", None),
        (f"{at}/enable", None),
    ):
        assert code_of(by_key.post(path, given)) == "forbidden"
    renewed = data_of(by_session.post(f"{at}/secret", None))
    assert renewed["secret"] not in ("", made["secret"])
    listed = data_of(by_key.get(f"teams/{team.slug}/oauth-clients"))["data"]
    assert [row["id"] for row in listed] == [made["id"]]
    assert "secret" not in listed[0]
    assert data_of(by_key.post(f"{at}/disable", {"reason": REASON}))["disabled_reason"] == REASON
    assert by_key.delete(at).status_code == 204
    assert by_session.get(at).status_code == 404


def test_security_disables_any_teams_client_and_its_token_ends_without_seeing_a_secret() -> None:
    registered = new_machine()
    token = machine_token(registered)["access_token"]
    assert loaded(token) is not None
    client, path = registered.client, f"admin/oauth-clients/{registered.client.client_id}/disable"
    security = Asker(person=new_holder(PortalRole.SECURITY))
    of_team = f"admin/oauth-clients?team_id={client.team_id}"
    [seen] = data_of(security.get(of_team))["data"]
    assert seen["id"] == client.client_id
    assert not {"secret", "client_secret"} & seen.keys()
    assert data_of(security.get(f"admin/oauth-clients?team_id={new_team().pk}"))["data"] == []
    assert code_of(security.post(path, {"reason": " "})) == "invalid_request"
    assert loaded(token) is not None
    assert data_of(security.post(path, {"reason": REASON}))["disabled_reason"] == REASON
    assert loaded(token) is None
    elsewhere = f"admin/oauth-clients/{new_team().pk}/disable"
    assert code_of(security.post(elsewhere, {"reason": REASON})) == "not_found"


def test_client_of_its_own_key_is_registered_by_the_api_and_proves_itself_without_a_secret() -> (
    None
):
    team, signer = new_team(), Signer()
    account, asker = new_account(team), Asker(person=new_member(team, Role.OWNER))
    path = f"teams/{team.slug}/oauth-clients"
    body: dict[str, Any] = {
        "name": "Nightly job",
        "grant": MACHINE.value,
        "scopes": ["chat"],
        "service_account_id": str(account.pk),
    }
    private = {"keys": [signer.jwk | {"d": "AA"}]}
    for wrong in ("nonsense", "{}", json.dumps({"keys": []}), json.dumps(private), "[" * 7_000):
        assert fields_of(asker.post(path, body | {"jwks": wrong})) == {"jwks"}
    made = data_of(asker.post(path, body | {"jwks": json.dumps({"keys": [signer.jwk]})}), 201)
    assert (made["secret"], made["has_keys"]) == ("", True)
    client = OAuthApplication.objects.get(credential_id=made["id"])
    proof = signer.assertion(client)
    reply = post(
        "token",
        grant_type="client_credentials",
        client_assertion_type=ASSERTION_TYPE,
        client_assertion=proof,
    )
    assert said(reply)["access_token"]


def test_form_takes_networks_a_line_and_an_end_and_refuses_what_the_key_form_refuses() -> None:
    team = new_team()
    browser, page = Client(), f"/teams/{team.slug}/oauth-clients/"
    browser.force_login(new_member(team, Role.OWNER))
    form = {
        "name": "Notebook",
        "grant": WEB.value,
        "redirect_uris": REDIRECT,
        "scopes": ["chat"],
        "networks": "10.0.0.0/8\r\n\r\n 2001:db8::/32 ",
        "expires_at": "2099-01-01T00:00",
    }
    for wrong in (
        {"networks": "10.0.0.0/8 192.0.2.0/24"},
        {"networks": "10.0.0.0/8\n" * 101},
        {"expires_at": "2020-01-01T00:00"},
        {"expires_at": "soon"},
    ):
        refused = browser.post(page, form | wrong).content.decode()
        assert 'class="errorlist"' in refused
        assert f'name="{next(iter(wrong))}"' in refused
    assert not OAuthApplication.objects.filter(team=team).exists()
    browser.post(page, form)
    client = OAuthApplication.objects.get(team=team)
    assert client.networks == ["10.0.0.0/8", "2001:db8::/32"]
    assert client.expires_at is not None
    assert client.expires_at.isoformat() == "2099-01-01T00:00:00+00:00"
    assert "1 Jan 2099" in browser.get(f"{page}{client.credential_id}/").content.decode()
    OAuthApplication.objects.filter(pk=client.pk).update(expires_at=utc_now() - minutes(1))
    for address in (page, f"{page}{client.credential_id}/"):
        assert ">Ended<" in browser.get(address).content.decode()


def test_every_model_of_the_library_is_ours_as_its_migrations_are_not_run() -> None:
    library = apps.get_app_config("oauth2_provider").get_models(include_swapped=True)
    assert [model._meta.label for model in library if not model._meta.swapped] == []
