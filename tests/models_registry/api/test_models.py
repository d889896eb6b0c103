"""The catalogue and the grants as the API shows them."""

import json

import pytest

from accounts.audit import COMMAND
from accounts.models.keys import Scope
from models_registry.models import ModelStatus, Visibility
from models_registry.writes.grants import grant_model
from tests.accounts.rows import new_member, new_team, tomorrow
from tests.asking_api import Asker, code_of, data_of, member_of
from tests.models_registry.rows import new_model, new_offer

pytestmark = pytest.mark.django_db


def test_catalogue_holds_what_is_offered_to_whoever_asks() -> None:
    team, elsewhere = new_team(), new_team()
    everyone, hidden = new_offer(), new_offer(visibility=Visibility.GRANTED)
    draft = new_model()
    grant_model(hidden, to=team, scopes=[Scope.CHAT], ends_at=tomorrow(), actor=COMMAND)
    granted, stranger = member_of(team), member_of(elsewhere)
    for asker, seen in ((granted, {everyone.name, hidden.name}), (stranger, {everyone.name})):
        listed = {row["name"] for row in data_of(asker.get("models?limit=100"))["data"]}
        assert listed & {everyone.name, hidden.name, draft.name} == seen
        for model in (everyone, hidden, draft):
            status = asker.get(f"models/{model.name}").status_code
            assert status == (200 if model.name in seen else 404)
    assert len(data_of(granted.get("grants"))["data"]) == 1
    assert data_of(stranger.get("grants"))["data"] == []


@pytest.mark.parametrize("name", ["../admin", "a%00", "a b", "%2e%2e/x", "é", "x" * 121])
def test_name_that_no_model_bears_is_not_found(name: str) -> None:
    assert code_of(member_of(new_team()).get(f"models/{name}")) == "not_found"


def test_model_is_found_by_name_with_slashes_and_by_search() -> None:
    model = new_offer(description="Reads 100% of_all invoices")
    type(model).objects.filter(pk=model.pk).update(name=f"org/{model.name}:1")
    asker = member_of(new_team())
    found = data_of(asker.get(f"models/org/{model.name}:1"))
    assert found["status"] == ModelStatus.PUBLISHED
    assert found["owner"] is None
    for wanted, count in (("100%25", 1), ("f_a", 1), ("f%25a", 0), (model.name, 1)):
        assert len(data_of(asker.get(f"models?search={wanted}"))["data"]) == count
    assert data_of(asker.get(f"models?search={model.name}&kind=embeddings"))["data"] == []


def test_member_reads_no_provider_and_no_address() -> None:
    team = new_team()
    new_offer()
    shown = json.dumps(data_of(Asker(person=new_member(team)).get("models?limit=100")))
    assert "http" not in shown
    assert "provider" not in shown
