import datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError

from accounts.audit import COMMAND
from accounts.models import AuditEntry, ServiceAccount, Team
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from models_registry.models import Grant, KeyModel, LimitMeasure, LimitPeriod
from models_registry.writes.grants import end_grant, grant_model, narrow_key
from portal.lib.clock import utc_now
from tests.accounts.rows import REASON, new_account, new_key, new_team, tomorrow
from tests.models_registry.rows import new_limit, new_model

pytestmark = pytest.mark.django_db


def grant(to: Team | ServiceAccount, **changes: object) -> Grant:
    facts: dict[str, object] = {"scopes": [Scope.CHAT], "ends_at": tomorrow(), "actor": COMMAND}
    return grant_model(new_model(), to=to, **(facts | changes))  # type: ignore[arg-type]


def test_grant_goes_to_a_team_or_to_one_of_its_accounts() -> None:
    account = new_account()
    to_team, to_account = grant(account.team), grant(account)
    assert (to_team.team_id, to_team.service_account_id) == (account.team_id, None)
    assert (to_account.team_id, to_account.service_account_id) == (None, account.pk)
    entries = AuditEntry.objects.filter(tag=AuditTag.GRANT_MADE, team_id=account.team_id)
    assert entries.count() == 2


@pytest.mark.parametrize("of", ["team", "account", "model", "team's use of the model"])
def test_grant_is_no_looser_in_a_minute_than_a_limit_above_it(of: str) -> None:
    account, model = new_account(), new_model()
    above: dict[str, dict[str, Any]] = {
        "team": {"team": account.team},
        "account": {"service_account": account},
        "model": {"model": model},
        "team's use of the model": {"team": account.team, "model": model},
    }
    new_limit(LimitMeasure.TOKENS, LimitPeriod.MINUTE, 100, **above[of])
    new_limit(LimitMeasure.TOKENS, LimitPeriod.MINUTE, 5, model=new_model())
    facts: dict[str, Any] = {"scopes": [Scope.CHAT], "ends_at": tomorrow(), "actor": COMMAND}
    with pytest.raises(ValidationError, match="nothing below may be looser") as refused:
        grant_model(model, to=account, tokens_per_minute=101, **facts)
    assert set(refused.value.message_dict) == {"tokens_per_minute"}
    assert grant_model(model, to=account, tokens_per_minute=100, requests_per_minute=101, **facts)


REFUSED = {
    "no kind of call": ({"scopes": []}, "scopes"),
    "past end": ({"ends_at": utc_now() - datetime.timedelta(seconds=1)}, "ends_at"),
    "end before the start": (
        {"starts_at": utc_now() + datetime.timedelta(days=2)},
        "ends_at",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refused_grant_is_named_and_not_written(case: tuple[dict[str, object], str]) -> None:
    changes, field = case
    team = new_team()
    grant(team)
    with pytest.raises(ValidationError) as refused:
        grant(team, **changes)
    assert field in refused.value.message_dict
    assert team.grants.count() == 1


@pytest.mark.parametrize("to_account", [False, True])
def test_ended_grant_ends_now_and_once(to_account: bool) -> None:
    account = new_account()
    made = grant(account if to_account else account.team)
    end_grant(made, actor=COMMAND, reason=REASON)
    made.refresh_from_db()
    ended_at = made.ends_at
    assert ended_at <= utc_now()
    end_grant(made, actor=COMMAND, reason="Again.")
    made.refresh_from_db()
    assert made.ends_at == ended_at
    entry = AuditEntry.objects.get(tag=AuditTag.GRANT_ENDED, subject_id=made.pk)
    assert (entry.team_id, entry.facts) == (account.team_id, {"reason": REASON})


def test_grant_that_has_not_begun_can_be_ended() -> None:
    made = grant(
        new_team(),
        starts_at=tomorrow(),
        ends_at=tomorrow() + datetime.timedelta(days=1),
    )
    end_grant(made, actor=COMMAND, reason=REASON)
    made.refresh_from_db()
    assert made.starts_at <= made.ends_at <= utc_now()


def test_grant_is_not_ended_without_a_reason() -> None:
    made = grant(new_team())
    with pytest.raises(ValidationError, match="why"):
        end_grant(made, actor=COMMAND, reason=" ")
    made.refresh_from_db()
    assert made.ends_at > utc_now()


def test_database_itself_refuses_a_grant_to_nobody_or_to_two() -> None:
    made, account = grant(new_team()), new_account()
    for change in ({"team": None}, {"service_account": account}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Grant.objects.filter(pk=made.pk).update(**change)


def test_narrow_list_is_replaced_and_never_emptied() -> None:
    key, first, second = new_key().key, new_model(), new_model()
    narrow_key(key, models=[first, first], actor=COMMAND)
    narrow_key(key, models=[second], actor=COMMAND)
    with pytest.raises(ValidationError, match="at least one"):
        narrow_key(key, models=[], actor=COMMAND)
    assert list(KeyModel.objects.filter(key=key).values_list("model_id", flat=True)) == [second.pk]
    key.refresh_from_db()
    assert key.is_narrowed
    entries = AuditEntry.objects.filter(tag=AuditTag.KEY_MODELS_NARROWED, subject_id=key.pk)
    assert [entry.facts["model_ids"] for entry in entries.order_by("id")] == [
        [str(first.pk)],
        [str(second.pk)],
    ]


def test_model_on_a_keys_list_is_not_deleted_by_django_nor_by_sql() -> None:
    model = new_model()
    narrow_key(new_key().key, models=[model], actor=COMMAND)
    with pytest.raises(ProtectedError):
        model.delete()
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("DELETE FROM models_registry_aimodel WHERE id = %s", [model.pk])
