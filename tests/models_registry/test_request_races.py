"""Two connections at once: one request a model, one decision a request."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection, transaction

from accounts.audit import COMMAND
from accounts.models import AuditEntry, User
from accounts.models.audit import AuditTag
from models_registry.access import may_decide
from models_registry.models import AccessRequest, Grant, RequestStatus, StepBy
from models_registry.policy_rules import Step
from models_registry.writes.policies import switch_off
from models_registry.writes.requests import (
    approve_request,
    comment_on_request,
    deny_request,
    withdraw_request,
)
from tests.accounts.rows import REASON, new_member, new_team
from tests.models_registry.rows import ask, new_decider, new_offer, new_policy

WAIT_S = 10
ENDS = {
    AuditTag.REQUEST_APPROVED,
    AuditTag.REQUEST_DENIED,
    AuditTag.REQUEST_WITHDRAWN,
}
Act = Callable[[], object]


def hold(act: Act, done: Event, may_commit: Event) -> bool:
    """Act in a transaction that stays open until it may commit. Returns whether the act was accepted."""
    try:
        with transaction.atomic():
            act()
            done.set()
            may_commit.wait(WAIT_S)
    except ValidationError:
        return False
    finally:
        connection.close()
    return True


def race(first: Act, second: Act) -> None:
    """Let the second begin while the first has not committed: it waits, and is refused then."""
    first_done, second_done, may_commit, at_once = Event(), Event(), Event(), Event()
    at_once.set()
    with ThreadPoolExecutor(2) as threads:
        winning = threads.submit(hold, first, first_done, may_commit)
        assert first_done.wait(WAIT_S)
        losing = threads.submit(hold, second, second_done, at_once)
        assert not second_done.wait(0.3)
        assert not losing.done()
        may_commit.set()
        assert winning.result(WAIT_S)
        assert not losing.result(WAIT_S)


@pytest.mark.parametrize("first", ["approve", "deny", "withdraw"])
@pytest.mark.parametrize("second", ["approve", "deny", "withdraw", "comment"])
def test_of_two_ends_at_once_one_counts(committed: None, first: str, second: str) -> None:
    team, one, other = new_team(), new_decider(), new_decider()
    member, model = new_member(team), new_offer()
    request = ask(member, team, model)
    acts: dict[str, Callable[[object], object]] = {
        "approve": lambda who: approve_request(request, actor=who),  # type: ignore[arg-type]
        "deny": lambda who: deny_request(request, actor=who, reason=REASON),  # type: ignore[arg-type]
        "withdraw": lambda _: withdraw_request(request, actor=member),
        "comment": lambda _: comment_on_request(request, actor=member, text="Wait."),
    }
    race(lambda: acts[first](one), lambda: acts[second](other))
    request.refresh_from_db()
    expected = {"approve": "approved", "deny": "denied", "withdraw": "withdrawn"}[first]
    assert request.status == expected
    assert Grant.objects.filter(model=model).count() == (1 if first == "approve" else 0)
    assert AuditEntry.objects.filter(subject_id=request.pk, tag__in=ENDS).count() == 1
    assert not request.comments.exists()


def test_of_two_agreements_at_once_both_count_and_the_second_makes_the_grants(
    committed: None,
) -> None:
    team, model, one, other = new_team(), new_offer(), new_decider(), new_decider()
    policy = new_policy(Step(StepBy.DECIDERS, needs=2), model_ids=[model.pk])
    request = ask(new_member(team), team, model)
    first_done, second_done, may_commit, at_once = Event(), Event(), Event(), Event()
    at_once.set()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(
            hold, lambda: approve_request(request, actor=one), first_done, may_commit
        )
        assert first_done.wait(WAIT_S)
        second = threads.submit(
            hold, lambda: approve_request(request, actor=other), second_done, at_once
        )
        assert not second_done.wait(0.3)
        may_commit.set()
        assert first.result(WAIT_S)
        assert second.result(WAIT_S)
    assert Grant.objects.filter(model=model).count() == 1
    request.refresh_from_db()
    assert (request.status, request.decided_by) == ("approved", other)
    tags = AuditEntry.objects.filter(subject_id=request.pk).values_list("tag", flat=True)
    assert list(tags.order_by("id")) == ["request.made", "request.agreed", "request.approved"]
    switch_off(policy, actor=COMMAND)


def test_who_loses_the_role_while_waiting_does_not_decide(committed: None) -> None:
    team, model, decider = new_team(), new_offer(), new_decider()
    request = ask(new_member(team), team, model)
    actor = User.objects.get(pk=decider.pk)
    assert may_decide(actor)
    decided = Event()

    def decide() -> bool:
        try:
            with transaction.atomic():
                approve_request(request, actor=actor)
        except PermissionDenied:
            return False
        finally:
            decided.set()
            connection.close()
        return True

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            AccessRequest.objects.select_for_update().get(pk=request.pk)
            deciding = threads.submit(decide)
            assert not decided.wait(0.3)
            decider.portal_roles.all().delete()
        assert not deciding.result(WAIT_S)
    assert not Grant.objects.filter(model=model).exists()


def test_of_two_requests_at_once_for_a_model_one_is_made(committed: None) -> None:
    team, both = new_team(), new_offer()
    one, other = new_member(team), new_member(team)
    race(lambda: ask(one, team, both), lambda: ask(other, team, new_offer(), both))
    assert team.access_requests.get().requested_by == one


def test_many_requests_for_the_same_models_in_any_order_make_one(committed: None) -> None:
    team, models = new_team(), [new_offer() for _ in range(4)]
    people = [new_member(team) for _ in range(4)]

    def attempt(number: int) -> bool:
        order = models[number:] + models[:number]
        return hold(lambda: ask(people[number], team, *order), Event(), may_commit)

    may_commit = Event()
    may_commit.set()
    with ThreadPoolExecutor(4) as threads:
        outcomes = [each.result(WAIT_S) for each in [threads.submit(attempt, n) for n in range(4)]]
    assert outcomes.count(True) == 1
    request = team.access_requests.get()
    assert (request.status, request.requested_models.count()) == (RequestStatus.OPEN, 4)
