"""What a page says a key can call is what the gateway's own reading of the rows allows."""

import datetime

import pytest

from accounts.audit import COMMAND
from accounts.models import ApiKey
from accounts.models.keys import Scope
from accounts.writes.keys import issue_key
from models_registry.key_models import models_of_key
from models_registry.models import AiModel, ModelKind, ModelStatus
from models_registry.writes.catalogue import set_model_status
from models_registry.writes.grants import end_grant, grant_model, narrow_key
from portal.lib.clock import days_ahead, utc_now
from tests.accounts.rows import REASON, new_account, tomorrow
from tests.models_registry.rows import new_offer
from tests.proxy.loading import loaded

pytestmark = pytest.mark.django_db


def gateway_allows(
    text: str, key: ApiKey, models: list[AiModel], now: datetime.datetime
) -> set[str]:
    principal = loaded(text)
    assert principal is not None
    return {
        model.name
        for model in models
        if model.kind in principal.may_call(model.pk, now=now) & principal.scopes
    }


@pytest.mark.parametrize(
    "scopes", [[Scope.CHAT], [Scope.EMBEDDINGS], [Scope.CHAT, Scope.EMBEDDINGS]]
)
@pytest.mark.parametrize("is_narrowed", [False, True])
def test_page_names_the_models_that_the_gateway_allows(
    scopes: list[Scope], is_narrowed: bool
) -> None:
    account, other = new_account(), new_account()
    of_team, of_account, coming, ended, foreign, ungranted = (new_offer() for _ in range(6))
    embeddings = new_offer(ModelKind.EMBEDDINGS)
    models = [of_team, of_account, coming, ended, foreign, ungranted, embeddings]
    both = [Scope.CHAT, Scope.EMBEDDINGS]
    for model, to in ((of_team, account.team), (of_account, account), (embeddings, account.team)):
        grant_model(model, to=to, scopes=both, ends_at=tomorrow(), actor=COMMAND)
    grant_model(
        coming,
        to=account,
        scopes=both,
        starts_at=tomorrow(),
        ends_at=days_ahead(2),
        actor=COMMAND,
    )
    grant_model(foreign, to=other, scopes=both, ends_at=tomorrow(), actor=COMMAND)
    past = grant_model(ended, to=account, scopes=both, ends_at=tomorrow(), actor=COMMAND)
    end_grant(past, actor=COMMAND, reason=REASON)
    issued = issue_key(
        account.team,
        holder=account,
        name="First",
        scopes=scopes,
        expires_at=tomorrow(),
        actor=COMMAND,
    )
    key = issued.key
    if is_narrowed:
        narrow_key(key, models=[of_team, ungranted], actor=COMMAND)
        key.refresh_from_db()
    now = utc_now()
    named = set(models_of_key(key, now=now).values_list("name", flat=True))
    assert named == gateway_allows(issued.text, key, models, now)
    chat_alone = {of_team.name} if is_narrowed else {of_team.name, of_account.name}
    assert named & chat_alone == (chat_alone if Scope.CHAT in scopes else set())
    set_model_status(of_team, status=ModelStatus.RETIRED, actor=COMMAND)
    assert of_team.name not in models_of_key(key, now=now).values_list("name", flat=True)
