"""What a key's principal may call, as its rows say."""

import pytest

from accounts.audit import COMMAND
from accounts.models import ApiKey
from accounts.models.keys import Scope
from accounts.writes.keys import IssuedKey, issue_key
from models_registry.models import KeyModel, LimitMeasure, LimitPeriod, ModelStatus
from models_registry.writes.catalogue import set_model_status
from models_registry.writes.grants import grant_model, narrow_key
from portal.lib.clock import utc_now
from proxy.principal import Principal
from proxy.route import load_routes
from tests.accounts.rows import new_account, new_key, new_member, new_team, tomorrow
from tests.models_registry.rows import new_deployment, new_limit, new_model
from tests.models_registry.test_limits import key_of
from tests.proxy.loading import loaded

pytestmark = pytest.mark.django_db


def load(issued: IssuedKey) -> Principal:
    principal = loaded(issued.text)
    assert principal is not None
    return principal


def test_key_without_a_list_may_call_what_is_granted() -> None:
    issued = new_key()
    model = new_model()
    grant_model(model, to=issued.key.team, scopes=[Scope.CHAT], ends_at=tomorrow(), actor=COMMAND)
    principal = load(issued)
    assert principal.only_models is None
    assert principal.may_call(model.pk, now=utc_now()) == {"chat"}


def test_narrowed_key_may_call_what_its_list_names() -> None:
    issued, model = new_key(), new_model()
    narrow_key(issued.key, models=[model], actor=COMMAND)
    assert load(issued).only_models == frozenset({model.pk})


@pytest.mark.parametrize("emptied", [True, False])
def test_list_that_lost_its_rows_or_its_mark_narrows_all_the_same(emptied: bool) -> None:
    issued, model = new_key(new_account()), new_model()
    narrow_key(issued.key, models=[model], actor=COMMAND)
    if emptied:
        KeyModel.objects.filter(key=issued.key).delete()
    else:
        ApiKey.objects.filter(pk=issued.key.pk).update(is_narrowed=False)
    assert load(issued).only_models == (frozenset() if emptied else {model.pk})


def test_principal_spends_from_the_limits_of_key_account_and_team_and_of_the_model_where_it_calls_it() -> (
    None
):
    issued = new_key()
    account, team = issued.key.service_account, issued.key.team
    model, other = new_model(), new_model()
    for one in (model, other):
        grant_model(one, to=team, scopes=[Scope.CHAT], ends_at=tomorrow(), actor=COMMAND)
    new_limit(key=issued.key)
    new_limit(service_account=account)
    new_limit(team=team)
    new_limit(team=team, model=model)
    new_limit(team=new_team())
    new_limit(service_account=new_account(team))
    new_limit(team=team, person=new_member(team))
    principal = load(issued)
    of_all = [window.key.partition(":")[0] for window in principal.windows]
    assert of_all == ["key", "key", "key", "service_account", "team"]
    (on_model,), (on_other,) = principal.grants[model.pk], principal.grants[other.pk]
    assert on_other.windows == principal.windows
    assert [window.key.partition(":")[0] for window in on_model.windows[5:]] == ["team_model"]
    assert principal.renew_at == on_model.windows[-1].ends_at


def test_own_key_spends_from_the_limits_of_the_person_and_of_the_member() -> None:
    team = new_team()
    person = new_member(team)
    issued = issue_key(
        team,
        holder=person,
        name="Own",
        scopes=[Scope.CHAT],
        expires_at=tomorrow(),
        actor=COMMAND,
    )
    key_of(person, team)
    hour = (LimitMeasure.TOKENS, LimitPeriod.HOUR)
    new_limit(*hour, person=person)
    new_limit(*hour, person=person, team=team)
    new_limit(*hour, person=new_member(team))
    principal = load(issued)
    found = [window.key.partition(":")[0] for window in principal.windows[2:]]
    assert found == ["person", "member"]
    assert principal.renew_at is None


def test_limit_of_a_model_stands_in_its_route() -> None:
    deployment = new_deployment()
    model = deployment.model
    set_model_status(model, status=ModelStatus.PUBLISHED, actor=COMMAND)
    new_limit(model=model)
    new_limit(team=new_team(), model=model)
    (window,) = load_routes()[model.name].windows
    assert window.key.startswith(f"model:{model.pk.hex}:micro_usd:")
