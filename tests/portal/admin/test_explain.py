"""The admin's page of explanations: for anybody, to whoever may see people and the registry."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from accounts.audit import COMMAND
from accounts.models.keys import Scope
from accounts.roles import PortalRight
from accounts.writes.keys import revoke_key
from models_registry.models import ModelStatus
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
from tests.models_registry.rows import new_model, new_provider
from tests.pages import words_of

pytestmark = pytest.mark.django_db
# A whole key.
PATTERN = re.compile(r"lk_[0-9A-Za-z]{12}_[0-9A-Za-z]{20,}")


def said(client: Client, **asked: str) -> str:
    """What the page says once the form was sent; no address holds more of a key than it shows of itself."""
    reply = client.post(reverse("admin:explain"), asked, follow=True)
    assert reply.status_code == 200
    assert reply.redirect_chain
    assert not any(PATTERN.search(address) for address, _ in reply.redirect_chain)
    page = reply.content.decode()
    assert not PATTERN.search(page)
    return words_of(page)


def test_whole_key_in_the_address_is_led_away_from(administrator: Client) -> None:
    issued = new_key(new_account())
    reply = administrator.get(reverse("admin:explain"), {"who": issued.text, "model": "x"})
    asked = f"who={issued.key.public_id}&model=x"
    assert (reply.status_code, reply["Location"]) == (302, f"{reverse('admin:explain')}?{asked}")


def test_anybody_is_explained(administrator: Client) -> None:
    team, model = new_team(), new_model()
    deploy_model(model, provider=new_provider(), upstream_name="upstream", actor=COMMAND)
    grant_model(model, to=team, scopes=[Scope.CHAT], ends_at=tomorrow(), actor=COMMAND)
    person, account = new_member(team), new_account(team)
    issued = new_key(account)
    for who in (
        issued.text,
        issued.key.public_id,
        str(issued.key.pk),
        str(account.pk),
        person.email,
    ):
        draft = said(administrator, who=who, model=model.name)
        assert "No, it is refused" in draft
        assert "The model is a draft. A registry administrator has to publish it." in draft
    set_model_status(model, status=ModelStatus.PUBLISHED, actor=COMMAND)
    assert "Yes, it is let in" in said(administrator, who=person.email, model=model.name)
    revoke_key(issued.key, actor=COMMAND, reason="It leaked.")
    assert "401 invalid_credential" in said(administrator, who=issued.text, model=model.name)


def test_pages_of_keys_people_and_models_lead_to_it(administrator: Client) -> None:
    team = new_team()
    person, key, model = new_member(team), new_key(new_account(team)).key, new_model()
    for found, query in (
        (key, f"who={key.pk}"),
        (key.service_account, f"who={key.service_account_id}"),
        (person, f"team={team.slug}"),
        (model, f"model={model.name}"),
    ):
        assert found is not None
        meta = found._meta
        page = administrator.get(
            reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[found.pk])
        )
        assert query in page.content.decode()


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"who": "nobody@latchkey.test"}, "There is no such person."),
        ({"who": "lk_nothing"}, "There is no such key or service account."),
        ({"who": "lk_nothing", "address": "here"}, "Give an IP address"),
        ({"model": "x"}, "Name who calls"),
    ],
)
def test_what_cannot_be_asked_is_said(
    administrator: Client, query: dict[str, str], told: str
) -> None:
    assert told in said(administrator, **query)


@pytest.mark.parametrize("right", [PortalRight.SEE_PEOPLE, PortalRight.SEE_REGISTRY])
def test_one_right_alone_does_not_open_it(right: PortalRight) -> None:
    client = Client()
    client.force_login(new_holder(new_portal_role(right)))
    assert client.get(reverse("admin:explain")).status_code == 403
    assert reverse("admin:explain") not in client.get(reverse("admin:index")).content.decode()
