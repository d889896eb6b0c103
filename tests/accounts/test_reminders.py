"""Ends are told 14, 3 and 1 days before, once each, to who can do something about them."""

import datetime

import pytest

from accounts.audit import COMMAND
from accounts.ending_keys import tell_of_ending_keys
from accounts.models import ApiKey, Notification, ServiceAccount, User
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.reminders import warning_due
from accounts.writes.keys import issue_key, revoke_key
from portal.lib.clock import utc_now
from tests.accounts.rows import REASON, new_account, new_member, new_name, new_team

pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)
NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("days_left", "days_lasted", "due"),
    [
        (15, 90, None),
        (14, 90, 14),
        (4, 90, 14),
        (3, 90, 3),
        (1.5, 90, 3),
        (1, 90, 1),
        (0.1, 90, 1),
        (0, 90, None),
        (-1, 90, None),
        # Whoever issued it for so short a time has just chosen its end.
        (14, 14, None),
        (7, 7, None),
        (3, 7, 3),
        (1, 1, None),
        (1, 2, 1),
    ],
)
def test_warning_due_is_the_latest_whose_time_has_come(
    days_left: float, days_lasted: float, due: int | None
) -> None:
    ends_at = NOW + days_left * DAY
    assert warning_due(ends_at, since=ends_at - days_lasted * DAY, now=NOW) == due


def a_key(holder: ServiceAccount | User, *, days_left: float) -> ApiKey:
    of = holder.team if isinstance(holder, ServiceAccount) else holder.memberships.get().team
    key = issue_key(
        of,
        holder=holder,
        name=new_name("key"),
        scopes=[Scope.CHAT],
        expires_at=utc_now() + days_left * DAY,
        actor=COMMAND,
    ).key
    ApiKey.objects.filter(pk=key.pk).update(created_at=utc_now() - 90 * DAY)
    return key


def told(key: ApiKey) -> list[tuple[str, int]]:
    rows = Notification.objects.filter(kind="key_ending", facts__key_id=str(key.pk))
    return sorted((row.email, row.facts["days"]) for row in rows)


def test_person_is_told_of_their_own_key_once() -> None:
    member = new_member(new_team())
    key = a_key(member, days_left=13)
    later = a_key(member, days_left=20)
    for _ in range(3):
        tell_of_ending_keys()
    assert told(key) == [(member.email, 14)]
    assert told(later) == []


def test_owners_and_managers_are_told_of_a_service_accounts_key() -> None:
    team = new_team()
    people = {role: new_member(team, role) for role in Role}
    key = a_key(new_account(team), days_left=2.5)
    tell_of_ending_keys()
    assert told(key) == sorted([(people[Role.OWNER].email, 3), (people[Role.MANAGER].email, 3)])


def test_warning_missed_while_nobody_looked_gives_way_to_the_next() -> None:
    member = new_member(new_team())
    key = a_key(member, days_left=13)
    tell_of_ending_keys()
    with_days_left(key, 0.5)
    tell_of_ending_keys()
    tell_of_ending_keys()
    assert told(key) == [(member.email, 1), (member.email, 14)]


def with_days_left(key: ApiKey, days: float) -> None:
    ApiKey.objects.filter(pk=key.pk).update(expires_at=utc_now() + days * DAY)


def test_moved_end_is_told_anew() -> None:
    member = new_member(new_team())
    key = a_key(member, days_left=13)
    tell_of_ending_keys()
    with_days_left(key, 12)
    tell_of_ending_keys()
    assert told(key) == [(member.email, 14), (member.email, 14)]


@pytest.mark.parametrize("spoil", ["revoked", "account", "team", "person"])
def test_what_does_not_work_any_more_is_not_announced(spoil: str) -> None:
    team = new_team()
    account, owner = new_account(team), new_member(team, Role.OWNER)
    key = a_key(account, days_left=2)
    if spoil == "revoked":
        revoke_key(key, actor=COMMAND, reason=REASON)
    for name, row in (("account", account), ("team", team)):
        if spoil == name:
            row.disabled_at = utc_now()
            row.save()
    if spoil == "person":
        owner.is_active = False
        owner.save()
    other = a_key(new_account(sound := new_team()), days_left=2)
    told_owner = new_member(sound, Role.OWNER)
    tell_of_ending_keys()
    assert told(key) == []
    assert told(other) == [(told_owner.email, 3)]


def test_mail_names_the_key_and_no_secret() -> None:
    member = new_member(new_team())
    key = a_key(member, days_left=13)
    tell_of_ending_keys()
    row = Notification.objects.get(facts__key_id=str(key.pk))
    assert row.facts == {
        "key_id": str(key.pk),
        "key": key.name,
        "public_id": key.public_id,
        "team": key.team.name,
        "holder": "",
        "ends_at": key.expires_at.isoformat(),
        "days": 14,
    }
