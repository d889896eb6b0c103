"""Policies: written as versions, switched by two where a request could need less, and tried on the past."""

import uuid
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from hypothesis import given
from hypothesis import strategies as st

from accounts.audit import COMMAND, acting
from accounts.models import AuditEntry, Proposal, User
from accounts.models.audit import AuditTag
from accounts.models.roles import PortalRole
from accounts.writes.proposals import confirm_proposal
from models_registry.models import ApprovalPolicy, StepBy, WhenLate
from models_registry.policies_in_force import rules_in_force
from models_registry.policy_rules import Step
from models_registry.policy_text import steps_from, text_of
from models_registry.policy_trial import Outcome, try_version
from models_registry.two_person_policies import ask_to_switch
from models_registry.writes.policies import add_version, make_policy, switch_off, switch_on
from tests.accounts.rows import new_holder, new_member, new_name, new_person, new_team
from tests.asking_api import Asker, data_of, fields_of
from tests.models_registry.rows import ask, new_offer, new_policy

pytestmark = pytest.mark.django_db
WHY = "Agreed with the works council."
STRICT, LAX = Step(StepBy.DECIDERS, needs=2), Step(StepBy.MANAGER)


def in_force(policy: ApprovalPolicy) -> int | None:
    found = ApprovalPolicy.objects.select_related("in_force").get(pk=policy.pk).in_force
    return None if found is None else found.number


def test_a_version_counts_once_it_is_switched_on_and_one_person_makes_it_stricter_alone() -> None:
    one = acting(new_person(is_administrator=True))
    policy = make_policy(new_name("policy"), actor=one)
    lax, strict = (add_version(policy, steps=[step], actor=one) for step in (LAX, STRICT))
    assert (lax.number, strict.number) == (1, 2)
    assert rules_in_force() == []
    with pytest.raises(PermissionDenied, match="two people"):
        switch_on(lax, actor=one)
    switch_on(strict, actor=one)
    switch_on(strict, actor=one)
    assert in_force(policy) == 2
    with pytest.raises(PermissionDenied, match="two people"):
        switch_on(lax, actor=one)
    with pytest.raises(PermissionDenied, match="two people"):
        switch_off(policy, actor=one)
    both = add_version(policy, steps=[LAX, STRICT], actor=one)
    switch_on(both, actor=one)
    assert [rule.version_id for rule in rules_in_force()] == [both.pk]
    tags = AuditEntry.objects.filter(subject_id=policy.pk, actor_id=one.id).order_by("id")
    assert list(tags.values_list("tag", flat=True)) == [
        AuditTag.POLICY_MADE,
        AuditTag.POLICY_VERSION_ADDED,
        AuditTag.POLICY_VERSION_ADDED,
        AuditTag.POLICY_SWITCHED_ON,
        AuditTag.POLICY_VERSION_ADDED,
        AuditTag.POLICY_SWITCHED_ON,
    ]


def test_a_weaker_one_is_proposed_by_one_and_switched_on_by_another() -> None:
    one, other = (new_holder(PortalRole.REGISTRY_ADMIN) for _ in range(2))
    policy = new_policy(LAX, on=False)
    made = ask_to_switch(policy, policy.versions.get(), by=one, why=WHY)
    assert isinstance(made, Proposal)
    assert in_force(policy) is None
    with pytest.raises(PermissionDenied):
        confirm_proposal(made, actor=acting(one))
    confirm_proposal(made, actor=acting(other))
    assert in_force(policy) == 1
    entry = AuditEntry.objects.get(tag=AuditTag.POLICY_SWITCHED_ON, subject_id=policy.pk)
    assert (entry.actor_id, entry.facts["confirmed_by"]) == (one.pk, str(other.pk))
    policy.refresh_from_db()
    off = ask_to_switch(policy, None, by=one, why=WHY)
    assert isinstance(off, Proposal)
    confirm_proposal(off, actor=acting(other))
    assert in_force(policy) is None


REFUSED: dict[str, dict[str, Any]] = {
    "models": {"model_ids": [uuid.uuid4()]},
    "teams": {"team_ids": [uuid.uuid4()]},
    "group": {"steps": [Step(StepBy.GROUP)]},
    "no group": {"steps": [Step(StepBy.GROUP, team_id=uuid.uuid4())]},
    "nobody": {"steps": [Step(StepBy.OWNER, needs=0)]},
    "many": {"steps": [Step(StepBy.OWNER, needs=11)]},
    "steps": {"steps": [LAX] * 11},
    "stage": {"steps": [Step(StepBy.OWNER, stage=0)]},
    "late without a time": {"steps": [Step(StepBy.OWNER, when_late=WhenLate.DENY)]},
    "late reminder": {"steps": [Step(StepBy.OWNER, remind_hours=5, due_hours=5)]},
    "budgets": {"budget_over": 5, "budget_up_to": 5},
}


@pytest.mark.parametrize("facts", REFUSED.values(), ids=REFUSED)
def test_a_version_that_makes_no_sense_is_refused(facts: dict[str, Any]) -> None:
    policy = make_policy(new_name("policy"), actor=COMMAND)
    with pytest.raises(ValidationError):
        add_version(policy, **({"steps": [LAX]} | facts), actor=COMMAND)
    assert not policy.versions.exists()
    assert add_version(policy, steps=[LAX], actor=COMMAND)


Steps = st.builds(
    Step,
    by=st.sampled_from([by for by in StepBy if by is not StepBy.GROUP]),
    needs=st.integers(1, 10),
    stage=st.integers(1, 10),
    remind_hours=st.one_of(st.none(), st.integers(1, 2160)),
    due_hours=st.one_of(st.none(), st.integers(1, 2160)),
    when_late=st.just(WhenLate.REMIND),
) | st.builds(
    Step,
    by=st.just(StepBy.SECURITY),
    due_hours=st.integers(1, 2160),
    when_late=st.sampled_from(WhenLate),
)


@given(st.lists(Steps, max_size=10))
def test_steps_are_read_as_they_are_written(steps: list[Step]) -> None:
    assert steps_from(text_of(steps)) == steps


def test_a_groups_step_is_written_by_the_teams_short_name() -> None:
    group = new_team()
    (step,) = steps_from(f"  2   group:{group.slug}  x3\n\n")
    assert step == Step(StepBy.GROUP, needs=3, stage=2, team_id=group.pk)
    assert text_of([step]) == f"2 group:{group.slug} x3"


@pytest.mark.parametrize(
    "line",
    [
        "x",
        "1",
        "manager",
        "1 nobody",
        "1 manager x0",
        "1 manager x11",
        "0 manager",
        "11 owner",
        "1 group:no-such-team",
        "1 owner due 0",
        "1 owner due 5 explode",
        "1 owner remind 9999",
        "1 owner x2 x3",
        "\n".join(["1 owner"] * 11),
        "1 owner x\N{ARABIC-INDIC DIGIT ONE}",
    ],
)
def test_a_line_that_is_no_step_is_named(line: str) -> None:
    with pytest.raises(ValidationError):
        steps_from(line)


def test_a_version_is_tried_on_the_past_before_it_counts() -> None:
    team, model, other = new_team(), new_offer(data_class="public"), new_offer()
    member = new_member(team)
    small = ask(member, team, model, budget_micro_usd=5)
    big = ask(member, team, other, budget_micro_usd=50)
    automatic = new_policy(on=False, budget_up_to=5).versions.get()
    strict = new_policy(STRICT, on=False).versions.get()
    outcomes = {one.request: one.outcome for one in try_version(automatic)}
    assert (outcomes[small], outcomes[big]) == (Outcome.AUTOMATIC, Outcome.SAME)
    outcomes = {one.request: one.outcome for one in try_version(strict)}
    assert (outcomes[small], outcomes[big]) == (Outcome.OTHER, Outcome.OTHER)
    small.created_at = small.created_at.replace(year=2020)
    small.save(update_fields=["created_at"])
    assert small not in {one.request for one in try_version(automatic)}
    assert rules_in_force() == []


def test_policies_by_the_api_are_written_tried_and_switched() -> None:
    one, other = (Asker(person=new_holder(PortalRole.REGISTRY_ADMIN)) for _ in range(2))
    group, team, model = new_team(), new_team(), new_offer()
    asked = ask(new_member(team), team, model, budget_micro_usd=7)
    body: dict[str, Any] = {
        "name": new_name("policy"),
        "model_ids": [str(model.pk)],
        "budget_up_to": 10,
        "steps": [
            {"by": "group", "group_id": str(group.pk), "needs": 2},
            {"by": "security", "stage": 2, "due_hours": 48, "when_late": "escalate"},
        ],
    }
    for facts, field in (
        ({"steps": [{"by": "group"}]}, "steps"),
        ({"steps": [{"by": "me"}]}, "steps"),
        ({"model_ids": [str(uuid.uuid4())]}, "models"),
        ({"budget_over": 10}, "request"),
        ({"in_force": 1}, "in_force"),
    ):
        refused = fields_of(one.post("admin/approval-policies", body | facts))
        assert {name.split(".")[0] for name in refused} == {field}
    made = data_of(one.post("admin/approval-policies", body), 201)
    path = f"admin/approval-policies/{made['id']}"
    assert (made["in_force"], made["versions"][0]["steps"][1]["when_late"]) == (None, "escalate")
    trial = data_of(one.get(f"{path}/trial?version=1&days=2"))
    (tried,) = [row for row in trial["requests"] if row["request_id"] == str(asked.pk)]
    assert tried["outcome"] == "other"
    assert tried["then"] == [f"2 members of {group.name}", "security"]
    assert fields_of(one.get(f"{path}/trial?version=9")) == {"version"}
    switched = data_of(one.post(f"{path}/switch", {"version": 1, "reason": WHY}))
    assert switched["policy"]["in_force"] is None
    proposal = f"admin/proposals/{switched['proposal']['id']}/confirm"
    assert other.post(proposal).status_code == 200
    assert data_of(one.get(path))["in_force"]["number"] == 1
    stricter = {"steps": [*body["steps"], {"by": "deciders"}]}
    stricter |= {name: body[name] for name in ("model_ids", "budget_up_to")}
    assert data_of(one.post(f"{path}/versions", stricter), 201)["number"] == 2
    switched = data_of(one.post(f"{path}/switch", {"version": 2, "reason": WHY}))
    assert (switched["policy"]["in_force"]["number"], switched["proposal"]) == (2, None)
    listed = data_of(one.get("admin/approval-policies"))["data"]
    assert made["id"] in [row["id"] for row in listed]


def test_only_who_manages_grants_writes_policies() -> None:
    guard: User = new_holder(PortalRole.SECURITY)
    policy = new_policy(LAX, on=False)
    asker = Asker(person=guard)
    assert asker.get(f"admin/approval-policies/{policy.pk}").status_code == 200
    for path, body in (
        ("admin/approval-policies", {"name": "x", "steps": []}),
        (f"admin/approval-policies/{policy.pk}/versions", {"steps": []}),
        (f"admin/approval-policies/{policy.pk}/switch", {"version": 1, "reason": WHY}),
    ):
        assert asker.post(path, body).status_code == 403
