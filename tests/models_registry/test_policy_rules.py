"""What requests need: every policy that matches counts, and a change that is not called weaker lets nothing more through."""

import uuid
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models_registry.models import StepBy, WhenLate
from models_registry.policy_rules import (
    DEFAULT,
    Asked,
    Needed,
    Rule,
    Step,
    in_turn,
    matches,
    needed_for,
    weakens,
)

MODELS = [uuid.UUID(int=number) for number in range(1, 4)]
TEAMS = [uuid.UUID(int=number) for number in range(11, 14)]
CLASSES = ["public", "internal", "secret"]
OLD, NEW = uuid.UUID(int=21), uuid.UUID(int=22)
HOURS = [None, 24, 48]

Budgets = st.one_of(st.none(), st.integers(1, 3))
Steps = st.builds(
    Step,
    by=st.sampled_from([StepBy.DECIDERS, StepBy.OWNER, StepBy.MANAGER, StepBy.SECURITY]),
    needs=st.integers(1, 2),
    stage=st.integers(1, 2),
    due_hours=st.sampled_from(HOURS),
    when_late=st.sampled_from(WhenLate),
) | st.builds(Step, by=st.just(StepBy.GROUP), team_id=st.sampled_from(TEAMS))


def few(values: list[Any]) -> st.SearchStrategy[frozenset[Any]]:
    return st.frozensets(st.sampled_from(values), max_size=2)


Rules = st.builds(
    Rule,
    version_id=st.uuids(),
    steps=st.lists(Steps, max_size=3).map(tuple),
    model_ids=few(MODELS),
    data_classes=few(CLASSES),
    team_ids=few(TEAMS),
    budget_over=Budgets,
    budget_up_to=Budgets,
)
Requests = st.builds(
    Asked,
    team_id=st.sampled_from(TEAMS),
    owners=st.dictionaries(
        st.sampled_from(MODELS), st.one_of(st.none(), st.sampled_from(TEAMS)), min_size=1
    ),
    data_class=st.sampled_from(CLASSES),
    budget=Budgets,
)
# How many of each kind of people agreed, and how long after the request was made.
POOLS = [(by, team) for by in StepBy for team in [None, *TEAMS]]
Agreed = st.fixed_dictionaries({pool: st.integers(0, 2) for pool in POOLS})


def is_met(needed: Needed, agreed: dict[Any, int], hours: int) -> bool:
    step = needed.step
    count = agreed[step.by, step.team_id]
    is_open_to_deciders = step.when_late is WhenLate.ESCALATE and step.due_hours is not None
    if is_open_to_deciders and step.by is not StepBy.DECIDERS and hours >= (step.due_hours or 0):
        count += agreed[StepBy.DECIDERS, None]
    return count >= step.needs


def changes() -> st.SearchStrategy[tuple[Rule | None, Rule | None]]:
    """Two versions of a policy, often alike but for one thing: of two of any kind hardly one is not weaker."""

    def alter(rule: Rule, name: str, other: Rule) -> tuple[Rule, Rule]:
        return rule, replace(rule, version_id=NEW, **{name: getattr(other, name)})

    names = ["steps", "model_ids", "data_classes", "team_ids", "budget_over", "budget_up_to"]
    near = st.builds(alter, Rules, st.sampled_from(names), Rules)
    more = st.builds(
        lambda rule, steps: (rule, replace(rule, version_id=NEW, steps=(*rule.steps, *steps))),
        Rules,
        st.lists(Steps, max_size=2).map(tuple),
    )
    anything = st.tuples(st.one_of(st.none(), Rules), st.one_of(st.none(), Rules))
    return st.one_of(near, more, anything)


@given(changes(), st.lists(Rules, max_size=2), Requests, Agreed, st.sampled_from([0, 24, 48]))
@example(
    (None, Rule(NEW, ())),
    [],
    Asked(TEAMS[0], {MODELS[0]: None}, "public", 1),
    dict.fromkeys(POOLS, 0),
    0,
)
def test_what_is_not_called_weaker_lets_no_request_through_that_waited(
    change: tuple[Rule | None, Rule | None],
    others: list[Rule],
    asked: Asked,
    agreed: dict[Any, int],
    hours: int,
) -> None:
    old, new = change
    before = needed_for(asked, [*others, *([old] if old else [])])
    after = needed_for(asked, [*others, *([new] if new else [])])
    goes_through = all(is_met(one, agreed, hours) for one in after)
    waited = not all(is_met(one, agreed, hours) for one in before)
    assert weakens(old, new) or not (goes_through and waited)


ASKED = Asked(TEAMS[0], {MODELS[0]: TEAMS[1], MODELS[1]: None}, "internal", 2)
MANAGER = Rule(OLD, (Step(StepBy.MANAGER),))
BOTH = Rule(NEW, (Step(StepBy.DECIDERS), Step(StepBy.SECURITY, needs=2)))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, Rule(NEW, ()), True),
        (None, MANAGER, True),
        (None, BOTH, False),
        (MANAGER, None, True),
        (Rule(OLD, ()), None, False),
        (MANAGER, replace(MANAGER, steps=(*MANAGER.steps, Step(StepBy.SECURITY))), False),
        (MANAGER, replace(MANAGER, steps=(Step(StepBy.SECURITY),)), True),
        (BOTH, replace(BOTH, steps=(Step(StepBy.DECIDERS), Step(StepBy.SECURITY))), True),
        (MANAGER, replace(MANAGER, team_ids=frozenset(TEAMS[:1])), True),
        (BOTH, replace(BOTH, model_ids=frozenset(MODELS[:1])), True),
        (replace(BOTH, model_ids=frozenset(MODELS[:1])), BOTH, False),
        (replace(MANAGER, model_ids=frozenset(MODELS[:1])), MANAGER, True),
        (replace(BOTH, budget_over=1), replace(BOTH, budget_over=2), True),
        (replace(BOTH, budget_over=2), replace(BOTH, budget_over=1), False),
    ],
)
def test_a_weaker_change_is_told_from_one_that_is_not(
    old: Rule | None, new: Rule | None, expected: bool
) -> None:
    assert weakens(old, new) is expected


def test_an_escalation_is_weaker_than_none_and_a_sooner_one_than_a_later_one() -> None:
    late = replace(MANAGER.steps[0], due_hours=48, when_late=WhenLate.ESCALATE)
    later, sooner = (
        replace(MANAGER, steps=(replace(late, due_hours=hours),)) for hours in (48, 24)
    )
    assert weakens(MANAGER, later)
    assert weakens(later, sooner)
    assert not weakens(sooner, later)
    assert not weakens(later, MANAGER)


def test_without_a_policy_whoever_decides_is_needed_and_nobody_else() -> None:
    assert needed_for(ASKED, []) == [DEFAULT]


def test_it_is_automatic_only_where_every_policy_that_matches_asks_for_nobody() -> None:
    automatic = Rule(OLD, ())
    assert needed_for(ASKED, [automatic]) == []
    assert needed_for(ASKED, [replace(automatic, model_ids=frozenset(MODELS[:1]))]) == [DEFAULT]
    team = Needed(OLD, Step(StepBy.MANAGER, team_id=TEAMS[0]))
    assert needed_for(ASKED, [automatic, MANAGER]) == [team]


def test_each_owner_of_the_models_that_a_policy_matches_is_needed() -> None:
    owner = Rule(OLD, (Step(StepBy.OWNER, needs=2),))
    assert needed_for(ASKED, [owner]) == [
        Needed(OLD, Step(StepBy.OWNER, needs=2, team_id=TEAMS[1])),
        Needed(OLD, Step(StepBy.DECIDERS, needs=2)),
    ]
    one = replace(owner, model_ids=frozenset(MODELS[:1]))
    assert needed_for(ASKED, [one]) == [
        Needed(OLD, Step(StepBy.OWNER, needs=2, team_id=TEAMS[1])),
        DEFAULT,
    ]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"budget_up_to": 2}, True),
        ({"budget_up_to": 1}, False),
        ({"budget_over": 1}, True),
        ({"budget_over": 2}, False),
        ({"data_classes": frozenset({"internal"})}, True),
        ({"data_classes": frozenset({"public"})}, False),
        ({"team_ids": frozenset(TEAMS[1:])}, False),
        ({"model_ids": frozenset(MODELS[:1])}, True),
        ({"model_ids": frozenset(MODELS[1:])}, False),
    ],
)
def test_a_policy_counts_for_what_it_names_alone(
    conditions: dict[str, Any], expected: bool
) -> None:
    assert matches(replace(MANAGER, **conditions), ASKED, MODELS[0]) is expected


def test_no_budget_is_more_than_any() -> None:
    unbounded = replace(ASKED, budget=None)
    assert matches(replace(MANAGER, budget_over=10**15), unbounded, MODELS[0])
    assert not matches(replace(MANAGER, budget_up_to=10**15), unbounded, MODELS[0])


@dataclass
class Row:
    version_id: uuid.UUID | None
    stage: int
    met_at: Any = None


def test_each_policy_goes_through_its_stages_by_itself() -> None:
    first, beside, then = Row(OLD, 1), Row(OLD, 1), Row(OLD, 2)
    other, own = Row(NEW, 2), Row(None, 1)
    steps = [first, beside, then, other, own]
    assert in_turn(steps) == [first, beside, other, own]
    first.met_at = "now"
    assert in_turn(steps) == [beside, other, own]
    beside.met_at = "now"
    assert in_turn(steps) == [then, other, own]
