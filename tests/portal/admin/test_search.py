"""The search of the admin's lists: each word anywhere, what is related too, and never more work than a list is worth."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.admin.base import SEARCH_MAX, WORDS_MAX
from accounts.models import ApiKey
from models_registry.models import AccessRequest, Limit, LimitMeasure, LimitPeriod
from tests.accounts.rows import new_account, new_key, new_member, new_name, new_team
from tests.models_registry.rows import ask, new_limit
from tests.portal.admin.test_pages import address, text_of

pytestmark = pytest.mark.django_db


def found(administrator: Client, model: Any, query: str) -> str:
    return text_of(administrator.get(address(model, "changelist"), {"q": query}))


@pytest.fixture
def key() -> ApiKey:
    made = new_key(new_account()).key
    ApiKey.objects.filter(pk=made.pk).update(name="Invoices 100%_done")
    return ApiKey.objects.select_related("team", "service_account").get(pk=made.pk)


def test_key_is_found_by_words_of_its_name_team_and_holder(
    administrator: Client, key: ApiKey
) -> None:
    assert key.service_account is not None
    for query in (
        "voices",
        "done INVOICES",
        f"invoices {key.team.name}",
        key.service_account.name,
        key.public_id,
    ):
        assert key.public_id in found(administrator, ApiKey, query), query
    for query in ("invoices nowhere", "voices_", "1000_done"):
        assert key.public_id not in found(administrator, ApiKey, query), query


def test_signs_of_patterns_stand_for_themselves(administrator: Client, key: ApiKey) -> None:
    other = new_key(new_account()).key
    page = found(administrator, ApiKey, "%_")
    assert key.public_id in page
    assert other.public_id not in page
    assert key.public_id not in found(administrator, ApiKey, "%_%")


def test_text_longer_than_anything_finds_nothing(administrator: Client, key: ApiKey) -> None:
    longest = f"invoices {'i ' * SEARCH_MAX}"
    assert key.public_id in found(administrator, ApiKey, longest[: SEARCH_MAX - 1])
    assert key.public_id not in found(administrator, ApiKey, longest)


def test_work_for_a_search_is_bounded_by_its_first_words(
    administrator: Client, key: ApiKey
) -> None:
    with CaptureQueriesContext(connection) as queries:
        found(administrator, ApiKey, "i " * (SEARCH_MAX // 2))
    looked = [query["sql"].count(" LIKE ") for query in queries]
    assert max(looked) == WORDS_MAX * 5
    # What is related is looked through by itself: no row of a key is joined to be compared.
    searching = [query["sql"] for query in queries if " LIKE " in query["sql"]]
    assert all("UPPER(U0." in sql for sql in searching)


def test_request_is_found_by_its_model_and_once_however_many_fit(administrator: Client) -> None:
    team = new_team()
    request = ask(new_member(team), team)
    [model] = [one.model for one in request.requested_models.select_related("model")]
    page = found(administrator, AccessRequest, model.name)
    assert page.count(f"{request.pk}/change/") == 1
    assert str(request.pk) not in found(administrator, AccessRequest, new_name("other"))


def test_limits_are_chosen_by_their_measure_in_the_words_they_say(administrator: Client) -> None:
    money = new_limit(team=new_team())
    calls = new_limit(LimitMeasure.REQUESTS, LimitPeriod.MINUTE, 5, team=new_team())
    page = text_of(administrator.get(address(Limit, "changelist"), {"measure": "micro_usd"}))
    assert str(money.pk) in page
    assert str(calls.pk) not in page
    assert "money, in US dollars" in page
    assert "Input Tokens" not in page
