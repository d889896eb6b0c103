"""What a key's principal may call, as its rows say."""

import pytest

from accounts.audit import COMMAND
from accounts.models import ApiKey
from accounts.models.keys import Scope
from accounts.writes.keys import IssuedKey
from models_registry.models import KeyModel
from models_registry.writes.grants import grant_model, narrow_key
from portal.lib.clock import utc_now
from proxy.principal import Principal
from proxy.principals import load_principal
from tests.accounts.rows import new_account, new_key, tomorrow
from tests.models_registry.rows import new_model

pytestmark = pytest.mark.django_db


def load(issued: IssuedKey) -> Principal:
    principal = load_principal(issued.text, issued.key.public_id)
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
