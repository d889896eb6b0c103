"""Whatever policies say and anybody does in whatever order: no grant without what was needed, one entry a transition."""

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

from accounts.audit import COMMAND
from accounts.models import AuditEntry, Notification, Team, User
from accounts.models.keys import Scope
from accounts.models.roles import PortalRole
from accounts.models.teams import Role
from accounts.writes.teams import add_member
from models_registry.models import (
    AccessRequest,
    AiModel,
    ApprovalPolicy,
    Grant,
    ModelKind,
    PolicyVersion,
    RequestedModel,
    StepApproval,
    StepBy,
)
from models_registry.policy_rules import Step
from models_registry.writes.policies import add_version, make_policy, switch_off, switch_on
from models_registry.writes.requests import (
    approve_request,
    comment_on_request,
    deny_request,
    withdraw_request,
)
from portal.lib.clock import days_ahead
from tests.accounts.rows import REASON, new_holder, new_member, new_name, new_person, new_team
from tests.models_registry.rows import ask, new_decider, new_offer

MEMBER, OTHER, MANAGER, AUDITOR, STRANGER, DECIDER, OWNER, GUARD = range(8)
ASKS = {MEMBER, OTHER, MANAGER, OWNER}
WITHDRAWS = {MANAGER, OWNER}
# The owner is an administrator, too.
DECIDES = {DECIDER, OWNER}
# The stranger manages the crew, which owns the models, and the guard is a member of it.
CREW = {STRANGER, GUARD}
AGREES = {
    StepBy.DECIDERS: DECIDES,
    StepBy.GROUP: CREW,
    StepBy.OWNER: {STRANGER},
    StepBy.MANAGER: {MANAGER, OWNER},
    StepBy.SECURITY: {GUARD},
}
# What policies come to say, by stage, who and how many; None switches the policy off.
POLICIES: list[list[tuple[int, StepBy, int]] | None] = [
    None,
    [],
    [(1, StepBy.MANAGER, 1)],
    [(1, StepBy.GROUP, 2)],
    [(1, StepBy.OWNER, 1), (1, StepBy.SECURITY, 1)],
    [(1, StepBy.MANAGER, 1), (2, StepBy.SECURITY, 1), (2, StepBy.DECIDERS, 2)],
]
Someone = st.integers(0, 7)
Which = st.integers(0, 20)
Models = st.sets(st.integers(0, 2))
Days = st.integers(1, 5)
Limit = st.one_of(st.none(), st.integers(1, 5))
REFUSALS = (ValidationError, PermissionDenied, Http404)


class Needs:
    """One step as the machine believes it to be."""

    def __init__(self, policy: int | None, stage: int, by: StepBy, needs: int) -> None:
        self.policy, self.stage, self.by, self.needs = policy, stage, by, needs
        self.agreed: set[int] = set()

    @property
    def is_met(self) -> bool:
        return len(self.agreed) >= self.needs


class Asked:
    """What the machine believes of one request."""

    def __init__(
        self, row: AccessRequest, by: int, models: set[int], days: int, limit: int | None
    ) -> None:
        self.row, self.by, self.models, self.days, self.limit = row, by, models, days, limit
        self.status = "open"
        self.entries = Counter({"request.made": 1})
        self.mails: Counter[tuple[str, int]] = Counter()
        self.steps: list[Needs] = []

    def in_turn(self) -> list[Needs]:
        """Of each policy the steps of the first stage that is not met."""
        turn = []
        for policy in {step.policy for step in self.steps}:
            unmet = [step for step in self.steps if step.policy == policy and not step.is_met]
            turn += [step for step in unmet if step.stage == min(one.stage for one in unmet)]
        return turn

    def waits_for(self, who: int) -> list[Needs]:
        if self.status != "open" or who == self.by:
            return []
        return [step for step in self.in_turn() if who in AGREES[step.by] - step.agreed]

    def call_up(self, steps: list[Needs]) -> None:
        """Each who can agree in these steps is told once."""
        told = {who for step in steps for who in AGREES[step.by]} - {self.by}
        self.mails += Counter({("request_made", who): 1 for who in told})


class RequestMachine(RuleBasedStateMachine):
    """One team, everybody who could act in it, and a plain list of what they did."""

    people: list[User]
    models: list[AiModel]
    strangers: list[User]
    policies: list[ApprovalPolicy]
    versions: list[list[PolicyVersion | None]]

    @classmethod
    def set_scene(cls) -> None:
        crew = new_team()
        guard = new_holder(PortalRole.SECURITY)
        chief = new_person(is_administrator=True)
        cls.strangers = [new_member(crew, Role.MANAGER), new_decider(), chief, guard]
        add_member(crew, person=guard, role=Role.AUDITOR, actor=COMMAND)
        kinds = (ModelKind.CHAT, ModelKind.CHAT, ModelKind.EMBEDDINGS)
        cls.models = [new_offer(kind, owner=crew) for kind in kinds]
        # One for every model, and one for the last model alone.
        cls.policies = [make_policy(new_name("policy"), actor=COMMAND) for _ in range(2)]
        cls.versions = [
            [None if steps is None else cls.version(policy, steps, crew) for steps in POLICIES]
            for policy in cls.policies
        ]

    @classmethod
    def version(
        cls, policy: ApprovalPolicy, steps: list[tuple[int, StepBy, int]], crew: Team
    ) -> PolicyVersion:
        group = {StepBy.GROUP: crew.pk}
        rows = [Step(by, needs, stage, group.get(by)) for stage, by, needs in steps]
        model_ids = [] if policy is cls.policies[0] else [cls.models[2].pk]
        return add_version(policy, steps=rows, model_ids=model_ids, actor=COMMAND)

    @initialize()
    def make_team(self) -> None:
        self.team = new_team()
        members = [new_member(self.team) for _ in range(2)]
        members += [new_member(self.team, role) for role in (Role.MANAGER, Role.AUDITOR)]
        self.people = [*members, *self.strangers]
        self.team.memberships.create(person=self.people[OWNER], role=Role.OWNER)
        self.asked: list[Asked] = []
        self.granted: dict[object, int] = {}
        self.says: list[list[tuple[int, StepBy, int]] | None] = [None, None]
        for policy in self.policies:
            switch_off(policy, actor=COMMAND)

    @rule(which=st.integers(0, 1), says=st.integers(0, len(POLICIES) - 1))
    def change_policy(self, which: int, says: int) -> None:
        version = self.versions[which][says]
        if version is None:
            switch_off(self.policies[which], actor=COMMAND)
        else:
            switch_on(version, actor=COMMAND)
        self.says[which] = POLICIES[says]

    def needed(self, models: set[int]) -> list[Needs]:
        everywhere, of_last = self.says
        counts = [(0, everywhere or []), (1, (of_last or []) if 2 in models else [])]
        steps = [Needs(policy, *step) for policy, says in counts for step in says]
        if everywhere is None and (of_last is None or models != {2}):
            steps.append(Needs(None, 1, StepBy.DECIDERS, 1))
        return steps

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
            one = Asked(row, who, models, days, limit)
            one.steps = self.needed(models)
            self.asked.append(one)
            one.call_up(one.in_turn())
            if not one.steps:
                self.end(one, "approved", is_allowed=True)
                self.granted[row.pk] = len(models)

    @rule(who=Someone, which=Which)
    def comment(self, who: int, which: int) -> None:
        if (one := self.one(which)) is None:
            return
        approves = who != one.by and any(who in AGREES[step.by] for step in one.steps)
        is_allowed = (who in ASKS | DECIDES or approves) and one.status == "open"
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
        may = who in DECIDES - {one.by} or bool(one.waits_for(who))
        is_allowed = may and one.status == "open" and reason != ""
        self.attempt(
            lambda: deny_request(one.row, actor=self.people[who], reason=reason),
            is_allowed=is_allowed,
        )
        self.end(one, "denied", is_allowed=is_allowed)

    @rule(
        who=Someone,
        which=Which,
        models=st.one_of(st.none(), Models),
        days=st.one_of(st.none(), Days),
        limit=Limit,
        reason=st.sampled_from([REASON, ""]),
    )
    def approve(
        self,
        who: int,
        which: int,
        models: set[int] | None,
        days: int | None,
        limit: int | None,
        reason: str,
    ) -> None:
        if (one := self.one(which)) is None:
            return
        part = one.models if models is None else models
        is_part = bool(part) and part <= one.models and (days is None or days < one.days)
        is_part = is_part and (limit is None or one.limit is None or limit <= one.limit)
        is_less = part != one.models or days is not None or limit not in (None, one.limit)
        own = one.waits_for(who)
        is_allowed = bool(own) and is_part and (reason != "" or not is_less)
        self.attempt(
            lambda: approve_request(
                one.row,
                actor=self.people[who],
                models=None if models is None else [self.models[number] for number in models],
                ends_at=None if days is None else days_ahead(days),
                tokens_per_minute=limit,
                reason=reason,
            ),
            is_allowed=is_allowed,
        )
        if is_allowed:
            one.models, one.days = part, days or one.days
            one.limit = one.limit if limit is None else limit
            self.agree(one, own, who)

    def agree(self, one: Asked, own: list[Needs], who: int) -> None:
        before = one.in_turn()
        for step in own:
            step.agreed.add(who)
        if all(step.is_met for step in one.steps):
            self.end(one, "approved", is_allowed=True)
            self.granted[one.row.pk] = len(one.models)
            return
        one.entries["request.agreed"] += 1
        one.mails["request_agreed", one.by] += 1
        one.call_up([step for step in one.in_turn() if step not in before])

    def end(self, one: Asked, status: str, *, is_allowed: bool) -> None:
        if is_allowed:
            one.entries[f"request.{status}"] += 1
            one.status = status
            if status != "withdrawn":
                one.mails["request_decided", one.by] += 1

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
            agreed = StepApproval.objects.filter(step__request=row)
            assert agreed.count() == sum(len(step.agreed) for step in one.steps)
            mails = Notification.objects.filter(
                facts__request_id=str(row.pk),
                kind__in=["request_made", "request_agreed", "request_decided"],
            ).values_list("kind", "person")
            numbers = {person.pk: number for number, person in enumerate(self.people)}
            # What other tests committed may hold others who decide.
            known = [(kind, numbers[person]) for kind, person in mails if person in numbers]
            assert Counter(known) == one.mails
            is_open = set(row.requested_models.values_list("is_open", flat=True))
            assert is_open == {one.status == "open"}


@pytest.mark.django_db
@pytest.mark.time_limit_s(240)
def test_no_path_gives_a_grant_without_an_approval() -> None:
    RequestMachine.set_scene()
    run_state_machine_as_test(
        RequestMachine, settings=settings(max_examples=30, stateful_step_count=25, deadline=None)
    )
