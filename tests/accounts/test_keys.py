import datetime
import hmac
import json
from typing import Any

import pytest
from django.conf import settings
from django.core import serializers
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.forms.models import model_to_dict

from accounts.audit import COMMAND
from accounts.models import ApiKey, AuditEntry, ServiceAccount, Team
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.writes.keys import IssuedKey, issue_key, revoke_key
from accounts.writes.reasons import REASON_MAX
from accounts.writes.teams import remove_member
from portal.lib.clock import utc_now
from portal.lib.crypto import Peppers
from tests.accounts.rows import REASON, new_account, new_key, new_member, new_person, tomorrow

pytestmark = pytest.mark.django_db


def issue(account: ServiceAccount, **changes: object) -> IssuedKey:
    facts: dict[str, object] = {
        "holder": account,
        "name": "First",
        "scopes": [Scope.CHAT],
        "expires_at": tomorrow(),
        "actor": COMMAND,
    }
    return issue_key(account.team, **(facts | changes))  # type: ignore[arg-type]


def test_issued_key_is_stored_as_a_peppered_digest_alone() -> None:
    issued = new_key()
    key = ApiKey.objects.get(pk=issued.key.pk)
    peppers = Peppers(settings.LATCHKEY_KEY_PEPPERS)
    assert key.pepper_id == peppers.current_id
    assert hmac.compare_digest(
        bytes(key.digest), peppers.digest(issued.text, pepper_id=key.pepper_id)
    )
    secret = issued.text.rpartition("_")[2]
    stored = serializers.serialize("json", [key]) + repr(vars(key)) + str(model_to_dict(key))
    assert secret not in stored
    assert issued.text not in repr(issued)


def test_issuing_runs_no_sql_that_holds_the_key() -> None:
    account = new_account()
    seen: list[str] = []

    def watch(execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        seen.append(f"{sql} {params}")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        issued = issue(account)
    assert seen
    assert all(issued.text.rpartition("_")[2] not in statement for statement in seen)


def test_issue_is_audited_without_the_key() -> None:
    issued = new_key()
    entry = AuditEntry.objects.get(tag=AuditTag.KEY_ISSUED, subject_id=issued.key.id)
    assert entry.team_id == issued.key.team_id
    assert entry.facts["public_id"] == issued.key.public_id
    assert issued.text.rpartition("_")[2] not in json.dumps(entry.facts)


def test_key_takes_the_cost_centre_of_its_team() -> None:
    assert new_key().key.cost_centre == "4711"


REFUSED = {
    "past end": ({"expires_at": utc_now() - datetime.timedelta(seconds=1)}, "expires_at"),
    "no kind of call": ({"scopes": []}, "scopes"),
    "no name": ({"name": ""}, "name"),
    "long name": ({"name": "x" * 101}, "name"),
    "network with host bits": ({"networks": ["10.0.0.1/8"]}, "networks"),
    "no network": ({"networks": ["corp"]}, "networks"),
    "network of a link": ({"networks": ["fe80::%eth0/64"]}, "networks"),
    "network in mapped form": ({"networks": ["::ffff:10.0.0.0/104"]}, "networks"),
    "no requests": ({"requests_per_minute": 0}, "requests_per_minute"),
    "negative tokens": ({"tokens_per_minute": -1}, "tokens_per_minute"),
    "tokens beyond the column": ({"tokens_per_minute": 1 << 40}, "tokens_per_minute"),
    "too many tags": ({"tags": ["x"] * 21}, "tags"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refused_value_is_named_and_nothing_is_written(
    case: tuple[dict[str, object], str],
) -> None:
    changes, field = case
    account = new_account()
    issue(account)
    before = AuditEntry.objects.count()
    with pytest.raises(ValidationError) as refused:
        issue(account, **changes)
    assert field in refused.value.message_dict
    assert account.keys.count() == 1
    assert AuditEntry.objects.count() == before


def test_networks_are_kept_in_one_form() -> None:
    issued = issue(new_account(), networks=[" 10.0.0.0/8 ", "2001:DB8::/32", "192.0.2.1"])
    assert issued.key.networks == ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32"]


def test_holder_of_another_team_is_refused() -> None:
    account, stranger = new_account(), new_account()
    issue(account)
    with pytest.raises(ValidationError, match="belongs"):
        issue(account, holder=stranger)


def test_person_gets_a_key_only_while_a_member() -> None:
    account = new_account()
    member = new_member(account.team)
    issue(account, holder=member)
    with pytest.raises(ValidationError, match="belongs"):
        issue(account, holder=new_person())
    remove_member(member.memberships.get(), actor=COMMAND)
    with pytest.raises(ValidationError, match="belongs"):
        issue(account, holder=member)


def test_revoked_key_keeps_who_when_and_why() -> None:
    key = new_key().key
    revoke_key(key, actor=COMMAND, reason=f"  {REASON} ")
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert key.revoked_reason == REASON
    entry = AuditEntry.objects.get(tag=AuditTag.KEY_REVOKED, subject_id=key.id)
    assert entry.facts == {"reason": REASON}


def test_revoking_twice_keeps_the_first_reason_and_one_entry() -> None:
    key = new_key().key
    revoke_key(key, actor=COMMAND, reason=REASON)
    revoke_key(key, actor=COMMAND, reason="Another.")
    key.refresh_from_db()
    assert key.revoked_reason == REASON
    assert AuditEntry.objects.filter(tag=AuditTag.KEY_REVOKED, subject_id=key.id).count() == 1


@pytest.mark.parametrize("reason", ["", "  ", "x" * (REASON_MAX + 1)])
def test_revocation_without_a_fitting_reason_is_refused(reason: str) -> None:
    key = new_key().key
    with pytest.raises(ValidationError, match="Say why"):
        revoke_key(key, actor=COMMAND, reason=reason)
    key.refresh_from_db()
    assert key.revoked_at is None
    revoke_key(key, actor=COMMAND, reason="x" * REASON_MAX)


def test_reason_that_holds_a_key_is_redacted_in_the_audit() -> None:
    issued = new_key()
    revoke_key(issued.key, actor=COMMAND, reason=f"{issued.text} was found in a log.")
    entry = AuditEntry.objects.get(tag=AuditTag.KEY_REVOKED, subject_id=issued.key.id)
    assert issued.text not in json.dumps(entry.facts)
    issued.key.refresh_from_db()
    assert issued.text not in issued.key.revoked_reason


@pytest.mark.parametrize(
    "change",
    [
        {"service_account": None},
        {"revoked_reason": "without a moment"},
        {"revoked_at": utc_now()},
    ],
    ids=["no holder", "reason without a moment", "moment without a reason"],
)
def test_database_itself_refuses_a_half_filled_row(change: dict[str, object]) -> None:
    key = new_key().key
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiKey.objects.filter(pk=key.pk).update(**change)


def test_keys_go_with_their_team() -> None:
    key = new_key().key
    Team.objects.get(pk=key.team_id).delete()
    assert not ApiKey.objects.filter(pk=key.pk).exists()
