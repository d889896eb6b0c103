"""Whatever is asked, said and decided in whatever order: no grant without an approval, one entry a transition."""

from collections import Counter
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from accounts.models import AuditEntry, User
from accounts.models.keys import Scope
from accounts.models.teams import Role
from models_registry.models import AccessRequest, AiModel, Grant, ModelKind, RequestedModel
from models_registry.writes.requests import (
    approve_request,
    comment_on_request,
    deny_request,
    withdraw_request,
)
from portal.lib.clock import days_ahead
from tests.accounts.rows import REASON, new_member, new_person, new_team
from tests.models_registry.rows import ask, new_decider, new_offer

MEMBER, OTHER, MANAGER, AUDITOR, STRANGER, DECIDER, OWNER = range(7)
ASKS = {MEMBER, OTHER, MANAGER, OWNER}
WITHDRAWS = {MANAGER, OWNER}
# The owner is an administrator, too.
DECIDES = {DECIDER, OWNER}
Someone = st.integers(0, 6)
Which = st.integers(0, 20)
Models = st.sets(st.integers(0, 2))
Days = st.integers(1, 5)
Limit = st.one_of(st.none(), st.integers(1, 5))
REFUSALS = (ValidationError, PermissionDenied, Http404)


class Asked:
    """What the machine believes of one request."""

    def __init__(
        self, row: AccessRequest, by: int, models: set[int], days: int, limit: int | None
    ) -> None:
        self.row, self.by, self.models, self.days, self.limit = row, by, models, days, limit
        self.status = "open"
        self.entries = Counter({"request.made": 1})


class RequestMachine(RuleBasedStateMachine):
    """One team, everybody who could act in it, and a plain list of what they did."""

    people: list[User]
    models: list[AiModel]
    strangers: list[User]

    @classmethod
    def set_scene(cls) -> None:
        cls.models = [new_offer(), new_offer(), new_offer(ModelKind.EMBEDDINGS)]
        cls.strangers = [new_person(), new_decider(), new_person(is_administrator=True)]

    @initialize()
    def make_team(self) -> None:
        self.team = new_team()
        members = [new_member(self.team) for _ in range(2)]
        members += [new_member(self.team, role) for role in (Role.MANAGER, Role.AUDITOR)]
        self.people = [*members, *self.strangers]
        self.team.memberships.create(person=self.people[OWNER], role=Role.OWNER)
        self.asked: list[Asked] = []
        self.granted: dict[object, int] = {}

    def one(self, which: int) -> Asked | None:
        return self.asked[which % len(self.asked)] if self.asked else None

    def attempt(self, act: Any, *, is_allowed: bool) -> Any:
        """Act, and hold the outcome against what is allowed."""
        try:
            with transaction.atomic():
                made = act()
        except REFUSALS:
            assert not is_allowed
            return None
        assert is_allowed
        return made

    def scopes(self, models: set[int]) -> list[Scope]:
        return sorted({Scope(self.models[number].kind) for number in models})

    @rule(who=Someone, models=Models, days=Days, limit=Limit)
    def ask(self, who: int, models: set[int], days: int, limit: int | None) -> None:
        taken = {number for one in self.asked if one.status == "open" for number in one.models}
        chosen = [self.models[number] for number in models]
        row = self.attempt(
            lambda: ask(
                self.people[who],
                self.team,
                models=chosen,
                scopes=self.scopes(models),
                wanted_until=days_ahead(days),
                tokens_per_minute=limit,
            ),
            is_allowed=who in ASKS and bool(models) and not models & taken,
        )
        if row is not None:
            self.asked.append(Asked(row, who, models, days, limit))

    @rule(who=Someone, which=Which)
    def comment(self, who: int, which: int) -> None:
        if (one := self.one(which)) is None:
            return
        is_allowed = who in ASKS | DECIDES and one.status == "open"
        act = lambda: comment_on_request(one.row, actor=self.people[who], text="Why?")  # noqa: E731
        if self.attempt(act, is_allowed=is_allowed) is not None:
            one.entries["request.commented"] += 1

    @rule(who=Someone, which=Which)
    def withdraw(self, who: int, which: int) -> None:
        if (one := self.one(which)) is None:
            return
        is_allowed = who in WITHDRAWS | {one.by} and one.status == "open"
        self.attempt(
            lambda: withdraw_request(one.row, actor=self.people[who]), is_allowed=is_allowed
        )
        self.end(one, "withdrawn", is_allowed=is_allowed)

    @rule(who=Someone, which=Which, reason=st.sampled_from([REASON, ""]))
    def deny(self, who: int, which: int, reason: str) -> None:
        if (one := self.one(which)) is None:
            return
        is_allowed = self.may_decide(who, one) and reason != ""
        self.attempt(
            lambda: deny_request(one.row, actor=self.people[who], reason=reason),
            is_allowed=is_allowed,
        )
        self.end(one, "denied", is_allowed=is_allowed)

    @rule(who=Someone, which=Which, models=st.one_of(st.none(), Models), days=Days, limit=Limit)
    def approve(
        self, who: int, which: int, models: set[int] | None, days: int, limit: int | None
    ) -> None:
        if (one := self.one(which)) is None:
            return
        part = one.models if models is None else models
        is_less = bool(part) and part <= one.models and days < one.days
        is_less = is_less and (limit is None or one.limit is None or limit <= one.limit)
        is_allowed = self.may_decide(who, one) and is_less
        self.attempt(
            lambda: approve_request(
                one.row,
                actor=self.people[who],
                models=None if models is None else [self.models[number] for number in models],
                ends_at=days_ahead(days),
                tokens_per_minute=limit,
            ),
            is_allowed=is_allowed,
        )
        self.end(one, "approved", is_allowed=is_allowed)
        if is_allowed:
            self.granted[one.row.pk] = len(part)

    def may_decide(self, who: int, one: Asked) -> bool:
        return who in DECIDES and who != one.by and one.status == "open"

    def end(self, one: Asked, status: str, *, is_allowed: bool) -> None:
        if is_allowed:
            one.status = status
            one.entries[f"request.{status}"] += 1

    @invariant()
    def every_grant_has_its_approval(self) -> None:
        if not hasattr(self, "team"):
            return
        linked = RequestedModel.objects.filter(team=self.team, grant__isnull=False)
        by_request = Counter(row.request_id for row in linked)
        assert dict(by_request) == self.granted
        assert Grant.objects.filter(team=self.team).count() == sum(self.granted.values())
        for row in linked.select_related("grant", "request"):
            assert row.grant is not None
            assert row.grant.ends_at <= row.request.wanted_until
            asked = row.request.tokens_per_minute
            assert asked is None or (row.grant.tokens_per_minute or asked + 1) <= asked

    @invariant()
    def every_transition_has_one_entry(self) -> None:
        for one in getattr(self, "asked", []):
            entries = AuditEntry.objects.filter(subject_kind="request", subject_id=one.row.pk)
            assert Counter(entries.values_list("tag", flat=True)) == one.entries
            row = AccessRequest.objects.get(pk=one.row.pk)
            assert row.status == one.status
            is_open = set(row.requested_models.values_list("is_open", flat=True))
            assert is_open == {one.status == "open"}


@pytest.mark.django_db
@pytest.mark.time_limit_s(240)
def test_no_path_gives_a_grant_without_an_approval() -> None:
    RequestMachine.set_scene()
    run_state_machine_as_test(
        RequestMachine, settings=settings(max_examples=25, stateful_step_count=25, deadline=None)
    )
