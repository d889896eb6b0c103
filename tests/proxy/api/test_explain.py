"""Explanations by the API: the gateway's verdict, for whoever may see the key, and nothing of models that are hidden."""

import pytest

from accounts.audit import COMMAND
from accounts.models import Team
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.roles import PortalRight
from accounts.writes.keys import revoke_key
from models_registry.models import AiModel, ModelStatus, Visibility
from models_registry.writes.catalogue import deploy_model, set_model_status
from models_registry.writes.grants import grant_model
from tests.accounts.rows import (
    new_account,
    new_holder,
    new_key,
    new_member,
    new_portal_role,
    new_team,
    tomorrow,
)
from tests.asking_api import Asker, administrator, code_of, data_of, fields_of, member_of
from tests.models_registry.rows import new_model, new_offer, new_provider

pytestmark = pytest.mark.django_db


def offered_to(team: Team) -> AiModel:
    """A model that the team may call and nobody else sees."""
    model = new_model(visibility=Visibility.GRANTED)
    deploy_model(model, provider=new_provider(), upstream_name="upstream", actor=COMMAND)
    set_model_status(model, status=ModelStatus.PUBLISHED, actor=COMMAND)
    grant_model(model, to=team, scopes=[Scope.CHAT], ends_at=tomorrow(), actor=COMMAND)
    return model


def test_key_is_explained_to_whoever_may_see_it() -> None:
    team = new_team()
    model, key = offered_to(team), new_key(new_account(team)).key
    path = f"keys/{key.pk}/explanation?model={model.name}"
    auditor = member_of(team, Role.AUDITOR)

    said = data_of(auditor.get(path))
    assert (said["allowed"], said["code"], said["message"], said["status"]) == (
        True,
        None,
        None,
        None,
    )
    assert {rule["state"] for rule in said["rules"]} == {"held"}

    revoke_key(key, actor=COMMAND, reason="It leaked.")
    said = data_of(auditor.get(path))
    assert (said["allowed"], said["code"], said["status"]) == (False, "invalid_credential", 401)
    assert said["message"].startswith("This credential is not valid.")
    failed = [rule for rule in said["rules"] if rule["state"] == "not_held"]
    assert [(rule["rule"], rule["code"]) for rule in failed] == [
        ("key_not_revoked", "invalid_credential")
    ]
    for other in (member_of(team), member_of(new_team(), Role.OWNER)):
        assert code_of(other.get(path)) == "not_found"


def test_new_keys_of_a_team_are_explained_to_its_members() -> None:
    team, elsewhere = new_team(), new_team()
    model, account = offered_to(team), new_account(team)
    member = member_of(team)
    path = f"teams/{team.slug}/explanation?model={model.name}"
    assert data_of(member.get(path))["allowed"]
    assert data_of(member.get(f"{path}&service_account_id={account.pk}"))["allowed"]
    other = new_account(elsewhere)
    assert code_of(member.get(f"{path}&service_account_id={other.pk}")) == "not_found"
    assert code_of(member_of(elsewhere).get(path)) == "not_found"
    said = data_of(member_of(team, Role.AUDITOR).get(path))
    assert [rule["rule"] for rule in said["rules"] if rule["state"] == "not_held"] == [
        "role_calls_models"
    ]


def test_hidden_model_is_explained_like_one_that_does_not_exist() -> None:
    team = new_team()
    hidden, draft = offered_to(new_team()), new_model()
    member = member_of(team)

    def said(name: str) -> dict[str, object]:
        found = data_of(member.get(f"teams/{team.slug}/explanation?model={name}"))
        return {one: found[one] for one in found if one not in ("at", "model")}

    assert said(hidden.name) == said(draft.name) == said("no-such-model")
    assert said("no-such-model")["code"] == "model_not_found"
    seen = said(new_offer().name)
    assert seen["code"] == "model_not_found"
    assert seen["rules"] != said("no-such-model")["rules"]


def test_administration_explains_anybody_to_whoever_may_see_people_and_the_registry() -> None:
    team = new_team()
    model, account = offered_to(team), new_account(team)
    person, key = new_member(team), new_key(account).key
    paths = (
        f"admin/keys/{key.pk}/explanation",
        f"admin/people/{person.pk}/explanation",
        f"admin/service-accounts/{account.pk}/explanation",
    )
    asker = administrator()
    for path in paths:
        assert data_of(asker.get(f"{path}?model={model.name}"))["allowed"]
        for right in (PortalRight.SEE_PEOPLE, PortalRight.SEE_REGISTRY):
            less = Asker(person=new_holder(new_portal_role(right)))
            assert code_of(less.get(path)) == "forbidden"
    elsewhere = new_team()
    said = data_of(asker.get(f"{paths[1]}?team_id={elsewhere.pk}"))
    assert [rule["rule"] for rule in said["rules"] if rule["state"] == "not_held"] == [
        "person_in_team",
        "role_calls_models",
    ]
    assert fields_of(asker.get(f"admin/people/{new_holder().pk}/explanation")) == {"team_id"}


@pytest.mark.parametrize(
    ("query", "field"),
    [("address=here", "address"), ("at=soon", "at"), ("kind=models", "kind"), ("m=x", "m")],
)
def test_what_cannot_be_asked_names_its_field(query: str, field: str) -> None:
    team = new_team()
    assert fields_of(member_of(team).get(f"teams/{team.slug}/explanation?{query}")) == {field}
