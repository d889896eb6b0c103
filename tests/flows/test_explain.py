"""What an explanation says is what a call is told: the same code and the same words, and the rule that it names is the reason."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from accounts.audit import COMMAND
from accounts.models import ApiKey, Membership
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.bounds import change_bounds
from models_registry.models import AiModel, LimitMeasure, LimitPeriod, ModelStatus
from models_registry.snippets import example_input
from models_registry.writes.catalogue import set_model_status
from models_registry.writes.grants import end_grant
from portal.lib.clock import utc_now
from proxy.call import CallKind
from proxy.explain.answer import Explanation, Rule
from proxy.explain.explain import explain
from proxy.explain.situation import Question, load_situation
from tests.flows.answers import CHAT, EMBEDDINGS
from tests.flows.conftest import CallerMaker, Catalogue, wait_until_listed
from tests.flows.house import Caller, in_s, new_account, new_member, new_model, new_team
from tests.flows.test_address_lists import ELSEWHERE, another_day
from tests.flows.test_rights import (
    REFUSED_WITHIN_S,
    SLACK_S,
    disable_holder,
    disable_the_team,
    end_membership,
    expire,
    revoke,
    wait_for,
)
from tests.flows.wire import Reply
from tests.models_registry.rows import new_limit

PATHS = {CallKind.CHAT: CHAT, CallKind.EMBEDDINGS: EMBEDDINGS}
OfCaller = Callable[[Caller], object]
OfModel = Callable[[AiModel], object]


@dataclass(frozen=True)
class Case:
    """rule: what the call fails at. of_caller, of_model: what happens to them before it; the model is the case's own then.

    calls: made before.
    """

    rule: Rule | None
    of_caller: OfCaller | None = None
    of_model: OfModel | None = None
    is_person: bool = False
    is_granted: bool = True
    calls: int = 0
    kind: CallKind = CallKind.CHAT
    facts: dict[str, Any] = field(default_factory=dict)


def disable_as_idle(caller: Caller) -> None:
    ApiKey.objects.filter(pk=caller.key.pk).update(disabled_at=utc_now())


def make_auditor(caller: Caller) -> None:
    Membership.objects.filter(team=caller.team).update(role=Role.AUDITOR)


def networks_of(subject: str) -> OfCaller:
    def act(caller: Caller) -> None:
        found = caller.key if subject == "key" else getattr(caller.key, subject)
        change_bounds(found, networks=ELSEWHERE, hours=None, actor=COMMAND)

    return act


def hours_of_team(caller: Caller) -> None:
    change_bounds(caller.team, networks=[], hours=another_day(), actor=COMMAND)


def end_the_grant(caller: Caller) -> None:
    end_grant(caller.team.grants.get(), actor=COMMAND, reason="The project is over.")


def take_back(model: AiModel) -> None:
    AiModel.objects.filter(pk=model.pk).update(status=ModelStatus.DRAFT)


def retire(model: AiModel) -> None:
    set_model_status(model, status=ModelStatus.DEPRECATED, actor=COMMAND)
    set_model_status(model, status=ModelStatus.RETIRED, actor=COMMAND)


def pass_sunset(model: AiModel) -> None:
    AiModel.objects.filter(pk=model.pk).update(
        status=ModelStatus.DEPRECATED, deprecated_at=in_s(-20), sunset_at=in_s(-10)
    )


def disable_deployments(model: AiModel) -> None:
    model.deployments.update(enabled=False)


def narrow_elsewhere(caller: Caller) -> None:
    ApiKey.objects.filter(pk=caller.key.pk).update(is_narrowed=True)


def budget(caller: Caller) -> None:
    new_limit(team=caller.team, amount=100)


def everybodys(model: AiModel) -> None:
    new_limit(LimitMeasure.TOKENS, LimitPeriod.DAY, 50, model=model)


CASES: dict[str, Case] = {
    "allowed": Case(None),
    "allowed-person": Case(None, is_person=True),
    "revoked": Case(Rule.KEY_NOT_REVOKED, revoke),
    "expired": Case(Rule.KEY_NOT_ENDED, expire),
    "idle": Case(Rule.KEY_ENABLED, disable_as_idle),
    "team": Case(Rule.TEAM_ENABLED, disable_the_team),
    "account": Case(Rule.ACCOUNT_ENABLED, disable_holder),
    "person": Case(Rule.PERSON_ENABLED, disable_holder, is_person=True),
    "left": Case(
        Rule.PERSON_IN_TEAM,
        # The key itself is revoked with the membership, unless whoever took the row away did no more.
        lambda caller: Membership.objects.filter(team=caller.team).delete(),
        is_person=True,
    ),
    "removed": Case(Rule.KEY_NOT_REVOKED, end_membership, is_person=True),
    "auditor": Case(Rule.ROLE_CALLS_MODELS, make_auditor, is_person=True),
    "address-of-key": Case(Rule.ADDRESS, networks_of("key")),
    "address-of-account": Case(Rule.ADDRESS, networks_of("service_account")),
    "address-of-team": Case(Rule.ADDRESS, networks_of("team")),
    "hours": Case(Rule.HOURS, hours_of_team),
    "not-granted": Case(Rule.GRANT, is_granted=False),
    "coming": Case(
        Rule.GRANT,
        lambda caller: caller.team.grants.update(starts_at=in_s(60)),
    ),
    "ended": Case(Rule.GRANT, end_the_grant),
    "narrowed": Case(Rule.MODEL_LISTED, narrow_elsewhere),
    "draft": Case(Rule.MODEL_SERVED, of_model=take_back),
    "retired": Case(Rule.MODEL_SERVED, of_model=retire),
    "sunset": Case(Rule.MODEL_SERVED, of_model=pass_sunset),
    "no-deployment": Case(Rule.MODEL_SERVED, of_model=disable_deployments),
    "another-kind": Case(Rule.MODEL_KIND, kind=CallKind.EMBEDDINGS),
    "kind-not-granted": Case(
        Rule.GRANT_KIND,
        lambda caller: caller.team.grants.update(scopes=[Scope.EMBEDDINGS]),
    ),
    "scope": Case(Rule.KEY_KIND, facts={"scopes": [Scope.EMBEDDINGS]}),
    "calls": Case(Rule.LIMIT, calls=2, facts={"requests_per_minute": 2}),
    "never-fits": Case(Rule.LIMIT, facts={"tokens_per_minute": 100}),
    "budget": Case(Rule.LIMIT, budget),
    "everybodys": Case(Rule.LIMIT, of_model=everybodys),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_explanation_says_what_a_call_is_told(
    catalogue: Catalogue, new_caller_of: CallerMaker, case: Case
) -> None:
    model = new_model(catalogue.demo, "demo-chat") if case.of_model else catalogue.chat
    team = new_team()
    holder = new_member(team) if case.is_person else new_account(team)
    caller = new_caller_of(
        *([model] if case.is_granted else []), team=team, holder=holder, **case.facts
    )
    if case.of_model:
        wait_until_listed(caller.port, model)
    for _ in range(case.calls):
        assert call(caller, model, case).status == 200
    if case.of_caller:
        case.of_caller(caller)
    if case.of_model:
        case.of_model(model)

    said = ask(caller, model, case)
    status_told = 200 if said.refusal is None else said.refusal.code.http_status
    told = wait_for(
        lambda: call(caller, model, case), status_told, within_s=REFUSED_WITHIN_S + SLACK_S
    )

    failed = said.first_failed
    assert (failed and failed.rule) == case.rule
    if said.refusal is None or failed is None:
        assert told.status == 200
        assert failed is None
        return
    assert json.loads(said.refusal.body()) == told.json()
    assert failed.code is said.refusal.code
    assert failed.remedy


def call(caller: Caller, model: AiModel, case: Case) -> Reply:
    body = {"model": model.name} | example_input(case.kind)
    return caller.post(PATHS[case.kind], json.dumps(body).encode())


def ask(caller: Caller, model: AiModel, case: Case) -> Explanation:
    key = ApiKey.objects.select_related("team", "service_account", "person").get(pk=caller.key.pk)
    question = Question(key=key, model=model.name, kind=case.kind, peer=caller.address)
    return explain(load_situation(question, seen=AiModel.objects.all()))


def test_model_of_no_such_name_is_explained_in_the_words_for_one_that_is_hidden(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of()
    draft = new_model(catalogue.demo, "demo-chat", status=None)
    said = [
        explain(load_situation(Question(key=caller.key, model=name), seen=AiModel.objects.none()))
        for name in ("no-such-model", draft.name, "\0")
    ]
    assert [one.checked for one in said] == [said[0].checked] * 3
    assert [one.refusal and one.refusal.body() for one in said] == [
        said[0].refusal and said[0].refusal.body()
    ] * 3
