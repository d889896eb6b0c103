"""The pages of rules: a rule is made and ended there, and a token is explained and nowhere kept."""

import datetime
import logging
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import AuditEntry, TrustRule
from accounts.models.teams import Role
from portal.lib.clock import utc_now
from tests.accounts.rows import REASON, new_account, new_member, new_person
from tests.accounts.workload.issuing import Issuing, new_issuer, new_issuing, new_rule
from tests.asking_api import Asker, code_of, data_of, fields_of, personal_key

pytestmark = pytest.mark.django_db


def manager_of(issuing: Issuing) -> Client:
    client = Client()
    client.force_login(new_member(issuing.account.team, Role.MANAGER))
    return client


def explained(client: Client, issuing: Issuing, token: str) -> str:
    page = reverse("team-token-test", args=[issuing.account.team.slug])
    reply = client.post(page, {"token": token})
    assert reply.status_code == 200
    text = reply.content.decode()
    assert token not in text
    assert token.rpartition(".")[2] not in text
    return text


def test_manager_makes_ends_and_returns_a_rule() -> None:
    issuing = new_issuing()
    client, slug = manager_of(issuing), issuing.account.team.slug
    sent = {
        "name": "CI",
        "issuer": issuing.issuer.pk,
        "service_account": issuing.account.pk,
        "subject": "repo:acme/*",
        "claims": "environment = production, staging\n/a/b = 1",
        "scopes": ["chat"],
        "networks": "10.0.0.0/8",
    }
    refused = client.post(reverse("team-trust-rules", args=[slug]), sent | {"subject": "repo:*"})
    assert "A star stands at the end alone" in refused.content.decode()
    assert client.post(reverse("team-trust-rules", args=[slug]), sent).status_code == 302
    rule = TrustRule.objects.get(name="CI")
    assert rule.claims == [
        {"claim": "environment", "one_of": ["production", "staging"]},
        {"claim": "/a/b", "one_of": ["1"]},
    ]
    assert rule.networks == ["10.0.0.0/8"]
    place = [slug, rule.pk]
    assert (
        client.post(reverse("trust-rule-disable", args=place), {"reason": REASON}).status_code
        == 302
    )
    rule.refresh_from_db()
    assert rule.disabled_at is not None
    client.post(reverse("trust-rule-enable", args=place))
    rule.refresh_from_db()
    assert rule.disabled_at is None
    assert "repo:acme/*" in client.get(reverse("team-trust-rule", args=place)).content.decode()


def test_manager_changes_how_far_a_rule_goes_and_other_members_do_not() -> None:
    issuing = new_issuing()
    rule, slug = issuing.rule, issuing.account.team.slug
    end = utc_now().replace(microsecond=0, second=7) + datetime.timedelta(days=9)
    TrustRule.objects.filter(pk=rule.pk).update(expires_at=end)
    place = reverse("trust-rule-change", args=[slug, rule.pk])
    sent = {
        "scopes": ["chat", "embeddings"],
        "networks": "10.0.0.0/8\r\n2001:db8::/32",
        "expires_at": f"{end:%Y-%m-%dT%H:%M}",
    }
    for role, status in ((Role.MEMBER, 403), (Role.AUDITOR, 403), (None, 404)):
        browser = Client()
        browser.force_login(new_member(issuing.account.team, role) if role else new_person())
        assert browser.post(place, sent).status_code == status
        seen = browser.get(reverse("team-trust-rule", args=[slug, rule.pk])).content.decode()
        assert place not in seen
    client, before = manager_of(issuing), AuditEntry.objects.latest("pk").pk
    unfit: list[dict[str, Any]] = [
        {"scopes": []},
        {"networks": "10.0.0.1/8"},
        {"expires_at": "2020-01-01T00:00"},
    ]
    for wrong in unfit:
        refused = client.post(place, sent | wrong).content.decode()
        assert 'class="errorlist"' in refused
    assert not AuditEntry.objects.filter(pk__gt=before).exists()
    assert client.post(place, sent).status_code == 302
    rule.refresh_from_db()
    assert (rule.scopes, rule.networks) == (["chat", "embeddings"], ["10.0.0.0/8", "2001:db8::/32"])
    # Of an end that nobody touched the form shows no seconds, and takes none away.
    assert rule.expires_at == end
    [entry] = AuditEntry.objects.filter(pk__gt=before, subject_id=rule.pk)
    assert (entry.tag, entry.facts["changed"]) == ("trust_rule.changed", ["scopes", "networks"])
    assert client.post(place, sent | {"expires_at": ""}).status_code == 302
    rule.refresh_from_db()
    assert rule.expires_at is None


def test_page_offers_open_issuers_and_own_accounts_alone() -> None:
    issuing = new_issuing()
    closed, other = new_issuer(is_open_to_teams=False), new_account()
    page = manager_of(issuing).get(reverse("team-trust-rules", args=[issuing.account.team.slug]))
    text = page.content.decode()
    assert str(issuing.issuer.pk) in text
    assert str(issuing.account.pk) in text
    assert str(closed.pk) not in text
    assert str(other.pk) not in text


def test_token_is_explained_check_by_check() -> None:
    issuing = new_issuing(claims=[{"claim": "environment", "one_of": ["production"]}])
    client = manager_of(issuing)
    taken = explained(client, issuing, issuing.token(environment="production"))
    assert f"The rule {issuing.rule.name} lets it call as {issuing.account.name}" in taken
    assert "failed" not in taken
    lacking = explained(client, issuing, issuing.token())
    assert "The claim environment has none of its values." in lacking
    assert "It is refused." in lacking
    assert "It was made for another audience" in explained(client, issuing, issuing.token(aud="x"))
    assert "is none that is trusted here" in explained(
        client, issuing, issuing.token(iss="https://x")
    )
    assert "It is no signed JWT" in explained(client, issuing, "nonsense-of-somebody")


def test_of_another_teams_rule_nothing_but_its_taking_is_told() -> None:
    issuing = new_issuing()
    own = new_issuing()
    new_rule(issuing.issuer, own.account, subject=issuing.subject)
    text = explained(manager_of(own), own, issuing.token())
    assert "An earlier rule of another team takes this token." in text
    assert issuing.rule.name not in text
    assert issuing.account.name not in text
    told = Asker(person=new_member(own.account.team, Role.MANAGER)).post(
        f"teams/{own.account.team.slug}/explain-token", {"token": issuing.token()}
    )
    assert data_of(told)["is_elsewhere"]
    assert data_of(told)["rule"] is None
    assert str(issuing.rule.pk) not in told.content.decode()


def test_key_trusts_a_workload_for_no_longer_and_no_more_than_itself() -> None:
    issuing = new_issuing()
    team = issuing.account.team
    person = new_member(team, Role.MANAGER)
    own = personal_key(person, team)
    by_key, by_session = Asker(text=own.text), Asker(person=person)
    path = f"teams/{team.slug}/trust-rules"
    ends_at = own.key.expires_at
    body = {
        "issuer_id": str(issuing.issuer.pk),
        "service_account_id": str(issuing.account.pk),
        "name": "CI",
        "subject": "repo:acme/app:ref:main",
        "scopes": ["chat"],
        "expires_at": ends_at.isoformat(),
    }
    later = {"expires_at": (ends_at + datetime.timedelta(seconds=1)).isoformat()}
    unending, wider = {"expires_at": None}, {"scopes": ["chat", "embeddings"]}
    made = data_of(by_key.post(path, body), 201)
    cases: list[tuple[dict[str, Any], str]]
    cases = [(later, "expires_at"), (unending, "expires_at"), (wider, "scopes")]
    for number, (change, field) in enumerate(cases):
        another = body | {"name": f"CI {number}", "subject": f"repo:acme/app:ref:{number}"}
        assert fields_of(by_key.post(path, another | change)) == {field}
        assert fields_of(by_key.patch(f"trust-rules/{made['id']}", change)) == {field}
        assert by_session.post(path, another | change).status_code == 201
    # Nor does it bring back one that lasts longer.
    disable = {"reason": REASON}
    assert by_key.post(f"trust-rules/{issuing.rule.pk}/disable", disable).status_code == 200
    assert fields_of(by_key.post(f"trust-rules/{issuing.rule.pk}/enable")) == {"expires_at"}
    assert by_session.post(f"trust-rules/{issuing.rule.pk}/enable").status_code == 200


def test_explained_token_is_in_no_statement_log_or_answer(caplog: pytest.LogCaptureFixture) -> None:
    issuing = new_issuing()
    token = issuing.token()
    secret = token.rpartition(".")[2]
    asker = Asker(person=new_member(issuing.account.team, Role.MANAGER))
    path = f"teams/{issuing.account.team.slug}/explain-token"
    with caplog.at_level(logging.DEBUG), CaptureQueriesContext(connection) as queries:
        explained(manager_of(issuing), issuing, token)
        told = asker.post(path, {"token": token}, Idempotency_Key="once")
    assert data_of(told)["rule"]["id"] == str(issuing.rule.pk)
    assert len(queries) > 5
    assert not any(secret in query["sql"] for query in queries)
    assert secret not in caplog.text
    assert secret not in told.content.decode()
    assert code_of(asker.post(path, {"token": "x" * 9000})) == "invalid_request"
