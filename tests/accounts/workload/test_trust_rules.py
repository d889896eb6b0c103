import datetime
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404

from accounts.audit import COMMAND
from accounts.models import AuditEntry, TrustRule
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.issuers import change_issuer, disable_issuer
from accounts.writes.teams import disable_service_account
from accounts.writes.trust_rules import (
    change_trust_rule,
    disable_trust_rule,
    enable_trust_rule,
    make_trust_rule_as,
)
from portal.lib.clock import utc_now
from tests.accounts.rows import REASON, new_account, new_member, new_name
from tests.accounts.workload.issuing import new_issuer, new_issuing, new_rule

pytestmark = pytest.mark.django_db


def make_as(role: Role, **changes: Any) -> TrustRule:
    account = changes.pop("account", None) or new_account()
    person = changes.pop("person", None) or new_member(account.team, role)
    facts: dict[str, Any] = {
        "issuer": changes.pop("issuer", None) or new_issuer(),
        "service_account": account,
        "name": "CI",
        "subject": "repo:acme/*",
        "scopes": [Scope.CHAT],
    }
    return make_trust_rule_as(person, team=changes.pop("team", account.team), **(facts | changes))


def test_rule_is_audited_with_what_it_matches() -> None:
    rule = make_as(Role.MANAGER, claims=[{"claim": "environment", "one_of": ["production"]}])
    entry = AuditEntry.objects.get(tag=AuditTag.TRUST_RULE_MADE, subject_id=rule.pk)
    assert entry.team_id == rule.team_id
    assert entry.actor_id == rule.created_by
    assert entry.facts == {
        "issuer_id": str(rule.issuer_id),
        "service_account_id": str(rule.service_account_id),
        "subject": "repo:acme/*",
        "claims": ["environment"],
        "scopes": ["chat"],
        "networks": [],
    }


@pytest.mark.parametrize("role", [Role.MEMBER, Role.AUDITOR])
def test_who_does_not_manage_keys_makes_no_rule(role: Role) -> None:
    assert make_as(Role.OWNER)
    with pytest.raises(PermissionDenied):
        make_as(role)


def test_manager_makes_no_rule_in_another_team_nor_for_its_accounts() -> None:
    own, other = new_account(), new_account()
    manager = new_member(own.team, Role.MANAGER)
    assert make_as(Role.MANAGER, account=own, person=manager)
    with pytest.raises(Http404):
        make_as(Role.MANAGER, account=other, person=manager)
    with pytest.raises(ValidationError, match="belongs"):
        make_as(Role.MANAGER, account=other, person=manager, team=own.team, name="Other")


def test_issuer_that_is_closed_to_teams_or_disabled_takes_no_rule_of_a_manager() -> None:
    issuer = new_issuer()
    assert make_as(Role.MANAGER, issuer=issuer)
    change_issuer(issuer, actor=COMMAND, is_open_to_teams=False)
    issuer.refresh_from_db()
    with pytest.raises(ValidationError) as closed:
        make_as(Role.MANAGER, issuer=issuer)
    assert new_rule(issuer, new_account())
    open_again = new_issuer()
    disable_issuer(open_again, actor=COMMAND, reason=REASON)
    open_again.refresh_from_db()
    with pytest.raises(ValidationError) as disabled:
        make_as(Role.MANAGER, issuer=open_again)
    assert closed.value.message_dict == disabled.value.message_dict


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "managing": ({"scopes": [Scope.MANAGE]}, "scopes"),
    "administering": ({"scopes": [Scope.CHAT, Scope.ADMINISTER]}, "scopes"),
    "nothing": ({"scopes": []}, "scopes"),
    "everybody": ({"subject": "repo:*"}, "subject"),
    "no network": ({"networks": ["corp"]}, "networks"),
    "too many networks": ({"networks": [f"10.0.{n}.0/24" for n in range(101)]}, "networks"),
    "another audience": ({"audience": "sts.amazonaws.com"}, "audience"),
    "an empty claim": ({"claims": [{"claim": "x", "one_of": []}]}, "claims"),
    "a past end": ({"expires_at": utc_now() - datetime.timedelta(seconds=1)}, "expires_at"),
    "no name": ({"name": " "}, "name"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_rule_that_is_too_wide_or_says_nothing_is_refused(case: tuple[dict[str, Any], str]) -> None:
    changes, field = case
    account, issuer = new_account(), new_issuer()
    assert make_as(Role.MANAGER, account=account, issuer=issuer, name=new_name("rule"))
    with pytest.raises(ValidationError) as refused:
        make_as(Role.MANAGER, account=account, issuer=issuer, **changes)
    assert field in refused.value.message_dict
    assert TrustRule.objects.filter(team=account.team).count() == 1


def test_disabled_account_gets_no_rule() -> None:
    account = new_account()
    assert make_as(Role.MANAGER, account=account)
    disable_service_account(account, actor=COMMAND, reason=REASON)
    account.refresh_from_db()
    with pytest.raises(ValidationError, match="disabled"):
        make_as(Role.MANAGER, account=account, name="Second")


def test_change_ends_and_returns_are_audited_once() -> None:
    rule = new_issuing().rule
    facts: dict[str, Any] = {"scopes": [Scope.EMBEDDINGS], "networks": [], "expires_at": None}
    for _ in range(2):
        change_trust_rule(rule, actor=COMMAND, **facts)
        disable_trust_rule(rule, actor=COMMAND, reason=REASON)
    for _ in range(2):
        enable_trust_rule(rule, actor=COMMAND)
    tags = (
        AuditEntry.objects.filter(subject_id=rule.pk).order_by("id").values_list("tag", flat=True)
    )
    assert list(tags) == [
        AuditTag.TRUST_RULE_MADE,
        AuditTag.TRUST_RULE_CHANGED,
        AuditTag.TRUST_RULE_DISABLED,
        AuditTag.TRUST_RULE_ENABLED,
    ]
