"""Teams, people and service accounts are disabled and enabled again: audited once, told to the gateways, undone whole."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from accounts.audit import COMMAND, Actor, acting
from accounts.models import AuditEntry, ServiceAccount, Team, User
from accounts.models.audit import ActorKind, AuditTag
from accounts.writes.people import disable_person, enable_person
from accounts.writes.reasons import REASON_MAX
from accounts.writes.teams import (
    disable_service_account,
    disable_team,
    enable_service_account,
    enable_team,
)
from tests.accounts.rows import REASON, new_account, new_member, new_person, new_team

pytestmark = pytest.mark.django_db

Row = Team | User | ServiceAccount


@dataclass(frozen=True)
class Case:
    """One kind of row that can be disabled, and how a command names it."""

    kind: str
    make: Callable[[], Row]
    disable: Callable[..., None]
    enable: Callable[..., None]
    named: Callable[[Row], list[str]]

    @property
    def tags(self) -> list[AuditTag]:
        return [AuditTag(f"{self.kind}.disabled"), AuditTag(f"{self.kind}.enabled")]


def slug(row: Row) -> list[str]:
    assert isinstance(row, Team)
    return [row.slug]


def address(row: Row) -> list[str]:
    assert isinstance(row, User)
    return [row.email.upper()]


def team_and_name(row: Row) -> list[str]:
    assert isinstance(row, ServiceAccount)
    return [row.team.slug, row.name]


CASES = {
    "team": Case("team", new_team, disable_team, enable_team, slug),
    "person": Case(
        "person", lambda: new_member(new_team()), disable_person, enable_person, address
    ),
    "service account": Case(
        "service_account",
        new_account,
        disable_service_account,
        partial(enable_service_account, by_administrator=True),
        team_and_name,
    ),
}
each_kind = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def is_disabled(row: Row) -> bool:
    row.refresh_from_db()
    return not row.is_active if isinstance(row, User) else row.disabled_at is not None


def entries_about(row: Row) -> list[AuditEntry]:
    made = [AuditTag.TEAM_CREATED, AuditTag.SERVICE_ACCOUNT_CREATED]
    made += [AuditTag.PERSON_CREATED, AuditTag.MEMBER_ADDED]
    return list(AuditEntry.objects.filter(subject_id=row.pk).exclude(tag__in=made).order_by("id"))


def changes() -> list[tuple[str, uuid.UUID]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT topic, ref FROM accounts_change ORDER BY id")
        return list(cursor.fetchall())


@each_kind
def test_disabling_and_enabling_are_audited_and_told_to_the_gateways(case: Case) -> None:
    row, actor = case.make(), acting(new_person())
    before = len(changes())
    case.disable(row, actor=actor, reason=f" {REASON} ")
    assert is_disabled(row)
    case.enable(row, actor=actor)
    assert not is_disabled(row)

    assert changes()[before:] == [(case.kind, row.pk)] * 2
    entries = entries_about(row)
    assert [entry.tag for entry in entries] == case.tags
    assert [entry.facts for entry in entries] == [{"reason": REASON}, {}]
    assert {entry.subject_kind for entry in entries} == {case.kind}
    assert {entry.actor_id for entry in entries} == {actor.id}
    team_id = {"team": row.pk, "person": None}.get(case.kind, getattr(row, "team_id", None))
    assert {entry.team_id for entry in entries} == {team_id}


@each_kind
def test_a_second_time_changes_and_writes_nothing(case: Case) -> None:
    row = case.make()
    case.enable(row, actor=COMMAND)
    assert not entries_about(row)
    case.disable(row, actor=COMMAND, reason=REASON)
    row.refresh_from_db()
    first = getattr(row, "disabled_at", None)
    case.disable(row, actor=COMMAND, reason="Another reason.")
    assert is_disabled(row)
    assert getattr(row, "disabled_at", None) == first
    assert [entry.facts for entry in entries_about(row)] == [{"reason": REASON}]


@each_kind
@pytest.mark.parametrize("reason", ["", " \n", "x" * (REASON_MAX + 1)])
def test_without_a_reason_nothing_is_disabled(case: Case, reason: str) -> None:
    row = case.make()
    with pytest.raises(ValidationError) as refused:
        case.disable(row, actor=COMMAND, reason=reason)
    assert "disabled" in refused.value.message_dict["reason"][0]
    assert not is_disabled(row)
    assert not entries_about(row)
    case.disable(row, actor=COMMAND, reason="x" * REASON_MAX)
    assert is_disabled(row)


@each_kind
def test_no_act_without_its_entry(case: Case) -> None:
    row = case.make()
    nobody = Actor(ActorKind.COMMAND, "no id")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="not a valid UUID"):
        case.disable(row, actor=nobody, reason=REASON)
    assert not is_disabled(row)
    case.disable(row, actor=COMMAND, reason=REASON)
    with pytest.raises(ValidationError, match="not a valid UUID"):
        case.enable(row, actor=nobody)
    assert is_disabled(row)


@each_kind
def test_command_names_the_row_and_says_what_it_did(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    row = case.make()
    call_command(f"disable_{case.kind}", *case.named(row), "--reason", REASON)
    assert is_disabled(row)
    assert "is disabled." in capsys.readouterr().out
    call_command(f"enable_{case.kind}", *case.named(row))
    assert not is_disabled(row)
    assert "is enabled." in capsys.readouterr().out


@each_kind
def test_command_refuses_an_unknown_row_and_an_empty_reason(case: Case) -> None:
    row = case.make()
    unknown = [*case.named(row)[:-1], "nobody"]
    for arguments in ([f"disable_{case.kind}", *unknown, "--reason", REASON],
                      [f"enable_{case.kind}", *unknown]):  # fmt: skip
        with pytest.raises(CommandError, match=r"^(No team|Nobody)"):
            call_command(*arguments)
    with pytest.raises(CommandError, match=r"^reason: "):
        call_command(f"disable_{case.kind}", *case.named(row), "--reason", " ")
    with pytest.raises(CommandError, match="--reason"):
        call_command(f"disable_{case.kind}", *case.named(row))
    assert not is_disabled(row)


def test_disabled_person_is_signed_out_for_good_and_nobody_else_is() -> None:
    person, other = new_person(), new_person()
    theirs, elsewhere, others = Client(), Client(), Client()
    for client, owner in ((theirs, person), (elsewhere, person), (others, other)):
        client.force_login(owner)
    disable_person(person, actor=COMMAND, reason=REASON)
    assert [is_signed_in(client) for client in (theirs, elsewhere, others)] == [False, False, True]
    enable_person(person, actor=COMMAND)
    assert [is_signed_in(client) for client in (theirs, elsewhere, others)] == [False, False, True]


def test_session_that_raced_the_disabling_ends_with_the_enabling() -> None:
    person = new_person()
    disable_person(person, actor=COMMAND, reason=REASON)
    client = Client()
    client.force_login(person)
    assert not is_signed_in(client)
    enable_person(person, actor=COMMAND)
    assert not is_signed_in(client)


def is_signed_in(client: Client) -> bool:
    return "Sign out" in client.get("/").content.decode()
