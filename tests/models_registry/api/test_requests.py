"""Access requests by the API: who asks, who talks, who decides, and what comes of it."""

import json
from typing import Any

import pytest

from accounts.models import Team
from accounts.models.keys import Scope
from accounts.models.teams import Role
from models_registry.models import Grant, ModelKind, RequestStatus, Visibility
from tests.accounts.rows import new_account, new_member, new_person, new_team, tomorrow
from tests.asking_api import (
    Asker,
    administrator,
    code_of,
    data_of,
    fields_of,
    member_of,
    personal_key,
)
from tests.models_registry.rows import ask, new_decider, new_offer

pytestmark = pytest.mark.django_db


def wanted(team: Team, *names: str, **facts: Any) -> dict[str, Any]:
    body = {
        "team": team.slug,
        "models": list(names) or [new_offer().name],
        "scopes": ["chat"],
        "justification": "Summaries of support mail.",
        "wanted_until": tomorrow().isoformat(),
    }
    return body | facts


def test_member_asks_decider_grants_less_and_the_grant_stands() -> None:
    team, one, other = new_team(), new_offer(), new_offer()
    member, decider = member_of(team), Asker(person=new_decider())
    body = wanted(team, one.name, other.name, tokens_per_minute=1000)
    made = data_of(member.post("requests", body), 201)
    assert made["status"] == RequestStatus.OPEN
    path = f"admin/requests/{made['id']}"
    more = decider.post(f"{path}/approve", {"tokens_per_minute": 1001})
    assert fields_of(more) == {"tokens_per_minute"}
    reply = decider.post(f"{path}/comments", {"text": "A hundred would do?"})
    assert data_of(reply, 201)["text"] == "A hundred would do?"
    less = {"models": [one.name], "tokens_per_minute": 100, "reason": "To begin with."}
    decided = data_of(decider.post(f"{path}/approve", less))
    assert decided["status"] == RequestStatus.APPROVED
    assert decided["comments"][0]["text"] == "A hundred would do?"
    grant = Grant.objects.get(team=team)
    assert (grant.model, grant.tokens_per_minute) == (one, 100)
    assert {row["model"]: row["grant_id"] for row in decided["models"]} == {
        one.name: str(grant.pk),
        other.name: None,
    }
    assert data_of(member.get(f"requests/{made['id']}"))["decision_reason"] == "To begin with."
    assert [row["id"] for row in data_of(member.get("grants"))["data"]] == [str(grant.pk)]
    again = decider.post(f"{path}/deny", {"reason": "Too late."})
    assert fields_of(again) == {"request"}


def test_kinds_of_call_are_those_of_the_models_unless_named_and_narrow_the_approval() -> None:
    team, chat, embeddings = new_team(), new_offer(), new_offer(ModelKind.EMBEDDINGS)
    member, decider = member_of(team), Asker(person=new_decider())
    body = wanted(team, chat.name, embeddings.name)
    assert fields_of(member.post("requests", body)) == {"scopes"}
    del body["scopes"]
    made = data_of(member.post("requests", body), 201)
    assert made["scopes"] == ["chat", "embeddings"]
    path = f"admin/requests/{made['id']}/approve"
    both = {"scopes": ["chat"], "models": [chat.name, embeddings.name]}
    assert fields_of(decider.post(path, both)) == {"scopes"}
    assert fields_of(decider.post(path, {"scopes": ["chat"]})) == {"reason"}
    decided = data_of(decider.post(path, {"scopes": ["chat"], "reason": "Text alone."}))
    granted = {row["model"] for row in decided["models"] if row["grant_id"] is not None}
    assert granted == {chat.name}


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"models": ["no-such-model"]}, "models"),
        ({"models": []}, "models"),
        ({"scopes": ["embeddings"]}, "scopes"),
        ({"scopes": ["manage"]}, "scopes"),
        ({"justification": ""}, "justification"),
        ({"justification": "x" * 2001}, "justification"),
        ({"wanted_until": "2020-01-01T00:00:00Z"}, "wanted_until"),
        ({"wanted_until": "2999-01-01T00:00:00Z"}, "wanted_until"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"status": "approved"}, "status"),
        ({"requested_by": "x"}, "requested_by"),
    ],
)
def test_value_that_is_not_accepted_is_named(facts: dict[str, Any], field: str) -> None:
    team = new_team()
    asker = member_of(team)
    found = fields_of(asker.post("requests", wanted(team, **facts)))
    assert {name.split(".")[0] for name in found} == {field}
    assert asker.post("requests", wanted(team)).status_code == 201


def test_model_that_is_not_seen_is_refused_like_one_that_does_not_exist() -> None:
    team, hidden = new_team(), new_offer(visibility=Visibility.GRANTED)
    asker = member_of(team)
    hidden_reply, missing_reply = (
        json.loads(asker.post("requests", wanted(team, name)).content)
        for name in (hidden.name, "no-such-model")
    )
    assert hidden_reply | {"instance": ""} == missing_reply | {"instance": ""}
    assert set(hidden_reply["errors"]) == {"models"}


def test_one_open_request_for_a_model() -> None:
    team, model = new_team(), new_offer()
    one, other = member_of(team), member_of(team)
    assert one.post("requests", wanted(team, model.name)).status_code == 201
    assert fields_of(other.post("requests", wanted(team, model.name))) == {"models"}


@pytest.mark.parametrize("role", list(Role))
def test_role_decides_who_asks_and_other_teams_do_not_exist(role: Role) -> None:
    team, elsewhere = new_team(), new_team()
    asked = ask(new_member(team), team)
    foreign = new_account(elsewhere)
    asker, stranger = member_of(team, role), member_of(elsewhere, role)
    may_ask = role is not Role.AUDITOR
    assert asker.get(f"requests/{asked.pk}").status_code == 200
    assert asker.post("requests", wanted(team)).status_code == (201 if may_ask else 403)
    comment = asker.post(f"requests/{asked.pk}/comments", {"text": "Soon?"})
    assert comment.status_code == (201 if may_ask else 403)
    may_withdraw = role in {Role.OWNER, Role.MANAGER}
    withdrawn = asker.post(f"requests/{asked.pk}/withdraw")
    assert withdrawn.status_code == (200 if may_withdraw else 403)
    for reply in (
        stranger.get(f"requests/{asked.pk}"),
        stranger.post("requests", wanted(team)),
        stranger.post(f"requests/{asked.pk}/comments", {"text": "x"}),
        stranger.post(f"requests/{asked.pk}/withdraw"),
    ):
        assert code_of(reply) == "not_found"
    assert str(asked.pk) not in stranger.get("requests").content.decode()
    assert str(asked.pk) in asker.get("requests").content.decode()
    if may_ask:
        body = wanted(team, service_account_id=str(foreign.pk))
        assert code_of(asker.post("requests", body)) == "not_found"


def test_queue_is_for_those_who_decide_and_nobody_decides_their_own() -> None:
    team = new_team()
    asked = ask(new_member(team), team)
    path = f"admin/requests/{asked.pk}"
    for asker in (Asker(person=new_member(team, Role.OWNER)), member_of(team, Role.OWNER)):
        for reply in (
            asker.get("admin/requests"),
            asker.get(path),
            asker.post(f"{path}/comments", {"text": "x"}),
            asker.post(f"{path}/approve", {}),
            asker.post(f"{path}/deny", {"reason": "x"}),
        ):
            assert reply.status_code == 403
    decider = new_decider()
    own_team = new_team()
    own_team.memberships.create(person=decider, role=Role.MEMBER)
    own = ask(decider, own_team)
    for one in (Asker(person=decider), administrator()):
        assert str(asked.pk) in one.get("admin/requests?status=open").content.decode()
        assert str(asked.pk) not in one.get("admin/requests?status=denied").content.decode()
    reply = Asker(person=decider).post(f"admin/requests/{own.pk}/approve", {})
    assert code_of(reply) == "forbidden"
    assert Asker(person=decider).post(f"{path}/deny", {"reason": "No."}).status_code == 200


def test_administrators_key_that_manages_a_team_does_not_decide() -> None:
    team, elsewhere = new_team(), new_team()
    chief = new_person(is_administrator=True)
    team.memberships.create(person=chief, role=Role.OWNER)
    asked = ask(new_member(elsewhere), elsewhere)
    manages = Asker(text=personal_key(chief, team, Scope.MANAGE).text)
    administers = Asker(text=personal_key(chief, team, Scope.ADMINISTER).text)
    assert code_of(manages.get(f"requests/{asked.pk}")) == "not_found"
    assert code_of(manages.post(f"requests/{asked.pk}/comments", {"text": "x"})) == "not_found"
    assert code_of(manages.post(f"admin/requests/{asked.pk}/approve", {})) == "scope_missing"
    assert administers.post(f"admin/requests/{asked.pk}/approve", {}).status_code == 200
