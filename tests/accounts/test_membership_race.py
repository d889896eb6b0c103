"""A key that is issued while its holder is removed does not outlive the membership."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

from django.core.exceptions import ValidationError
from django.db import connection, transaction

from accounts.audit import COMMAND
from accounts.models import ApiKey, Team, User
from accounts.models.keys import Scope
from accounts.writes.keys import issue_key
from accounts.writes.teams import remove_member
from tests.accounts.rows import new_member, new_team, tomorrow

WAIT_S = 10


def issue(team: Team, holder: User, *, issued: Event, may_commit: Event) -> ApiKey | None:
    """Issue a key in a transaction that stays open until it may commit; None if it is refused."""
    try:
        with transaction.atomic():
            key = issue_key(
                team,
                holder=holder,
                name="Late",
                scopes=[Scope.CHAT],
                expires_at=tomorrow(),
                actor=COMMAND,
            ).key
            issued.set()
            may_commit.wait(WAIT_S)
            return key
    except ValidationError:
        return None
    finally:
        connection.close()


def remove(team: Team, holder: User, *, removed: Event, may_commit: Event) -> None:
    try:
        with transaction.atomic():
            remove_member(team.memberships.get(person=holder), actor=COMMAND)
            removed.set()
            may_commit.wait(WAIT_S)
    finally:
        connection.close()


def test_removal_sees_the_key_that_is_being_issued(committed: None) -> None:
    team = new_team()
    member = new_member(team)
    issued, may_issue, removed, may_remove = Event(), Event(), Event(), Event()
    may_remove.set()
    with ThreadPoolExecutor(2) as threads:
        issuing = threads.submit(issue, team, member, issued=issued, may_commit=may_issue)
        assert issued.wait(WAIT_S)
        removing = threads.submit(remove, team, member, removed=removed, may_commit=may_remove)
        assert not removed.wait(0.3)
        may_issue.set()
        key = issuing.result(WAIT_S)
        removing.result(WAIT_S)
    assert key is not None
    key.refresh_from_db()
    assert key.revoked_at is not None


def test_issue_sees_the_removal_that_is_under_way(committed: None) -> None:
    team = new_team()
    member = new_member(team)
    issued, may_issue, removed, may_remove = Event(), Event(), Event(), Event()
    may_issue.set()
    with ThreadPoolExecutor(2) as threads:
        removing = threads.submit(remove, team, member, removed=removed, may_commit=may_remove)
        assert removed.wait(WAIT_S)
        issuing = threads.submit(issue, team, member, issued=issued, may_commit=may_issue)
        assert not issued.wait(0.3)
        may_remove.set()
        removing.result(WAIT_S)
        assert issuing.result(WAIT_S) is None
    assert not team.keys.exists()
