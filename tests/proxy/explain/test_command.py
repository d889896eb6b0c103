import datetime
import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.audit import COMMAND
from accounts.models import Membership, Team
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.bounds import change_bounds
from accounts.writes.keys import revoke_key
from models_registry.models import AiModel, ModelStatus
from models_registry.writes.catalogue import deploy_model, set_model_status
from models_registry.writes.grants import grant_model
from portal.lib.clock import utc_now
from tests.accounts.rows import new_account, new_key, new_member, new_team, tomorrow
from tests.models_registry.rows import new_model, new_provider

pytestmark = pytest.mark.django_db


def offered_to(team: Team) -> AiModel:
    model = new_model()
    deploy_model(model, provider=new_provider(), upstream_name="upstream", actor=COMMAND)
    set_model_status(model, status=ModelStatus.PUBLISHED, actor=COMMAND)
    grant_model(model, to=team, scopes=[Scope.CHAT], ends_at=tomorrow(), actor=COMMAND)
    return model


def run(*arguments: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("explain", *arguments, stdout=out, **options)
    return out.getvalue()


def test_command_says_yes_then_no_in_the_words_of_the_gateway() -> None:
    team = new_team()
    model = offered_to(team)
    issued = new_key(new_account(team))
    asked = ("--key-id", issued.key.public_id, "--model", model.name)
    assert run(*asked).startswith("Yes, now.\n")

    revoke_key(issued.key, actor=COMMAND, reason="It leaked.")
    told = run(*asked).splitlines()
    assert told[0].startswith("No, now: 401 invalid_credential. This credential is not valid.")
    assert told[1] == "What to do: Issue a new key. A revoked one never works again."
    assert "  NO  key_not_revoked: The key was revoked on" in "\n".join(told)


def test_command_explains_people_and_service_accounts_without_a_key() -> None:
    team = new_team()
    model = offered_to(team)
    person, account = new_member(team), new_account(team)
    of_person = ("--person", person.email, "--team", team.slug, "--model", model.name)
    of_account = ("--service-account", account.name, "--team", team.slug, "--model", model.name)
    for asked in (of_person, of_account):
        assert run(*asked).startswith("Yes, now.\n")
        assert "key_not_" not in run(*asked)

    Membership.objects.filter(person=person).update(role=Role.AUDITOR)
    assert "NO  role_calls_models" in run(*of_person)


def test_command_tells_another_moment_from_now() -> None:
    team = new_team()
    model = offered_to(team)
    key = new_key(new_account(team)).key
    change_bounds(key, networks=["192.0.2.0/24"], hours=None, actor=COMMAND)
    asked = ("--key-id", key.public_id, "--model", model.name, "--address", "192.0.2.9")
    assert run(*asked).startswith("Yes, now.\n")
    later = run(*asked, "--at", "2999-01-31T12:00:00Z")
    assert later.startswith("No, at 2999-01-31 12:00 UTC: 401 invalid_credential.")
    assert "NO  key_not_ended" in later
    soon = (utc_now() + datetime.timedelta(minutes=5)).isoformat()
    assert "How much is left then is not known." in run(*asked, "--at", soon)
    elsewhere = run(*asked[:-1], "198.51.100.1")
    assert elsewhere.startswith("No, now: 403 address_not_allowed.")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--key-id", "lk_7Qm2aaaaaaaa_x"), "in a shell's history"),
        (("--key-id", "nothing"), "matching query does not exist"),
        (("--person", "ada@corp.example"), "--team"),
        (("--key-id", "nothing", "--address", "here"), "--address"),
        (("--key-id", "nothing", "--at", "soon"), "--at"),
    ],
)
def test_command_says_what_is_wrong_with_what_it_was_given(
    arguments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(CommandError, match=said):
        run(*arguments)
