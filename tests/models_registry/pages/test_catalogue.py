import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.conf import settings
from django.urls import reverse

from accounts.audit import COMMAND
from accounts.models import Team, User
from accounts.models.keys import Scope
from accounts.models.teams import Role
from models_registry.models import (
    AiModel,
    DataClass,
    ModelKind,
    ModelStatus,
    RequestStatus,
    Visibility,
)
from models_registry.snippets import snippets_for
from models_registry.templatetags.registry_facts import usd
from models_registry.writes.catalogue import set_model_status
from models_registry.writes.grants import grant_model
from portal.lib.clock import days_ahead
from tests.accounts.rows import new_account, new_member, new_name, new_person, new_team, tomorrow
from tests.many_rows import multiply, quickest_s
from tests.models_registry.rows import ask, new_offer
from tests.pages import (
    HOSTILE,
    QUERIES_MAX,
    Browser,
    shows_as_text,
    text_of,
    without_tokens,
    words_of,
)

pytestmark = pytest.mark.django_db
MaxQueries = Callable[[int], AbstractContextManager[Any]]


def model_url(model: AiModel) -> str:
    return reverse("model", args=[model.name])


def ask_url(model: AiModel) -> str:
    return reverse("ask", args=[model.name])


def grant(model: AiModel, team: Team, **changes: Any) -> None:
    facts: dict[str, Any] = {"scopes": [Scope(model.kind)], "ends_at": tomorrow()}
    grant_model(model, to=team, actor=COMMAND, **(facts | changes))


def asked(person: User, team: Team, **changes: Any) -> dict[str, Any]:
    """The ask form, filled in."""
    values = {
        "for_whom": f"team:{team.pk}",
        "justification": "Summaries.",
        "wanted_until": days_ahead(30).date().isoformat(),
    }
    return values | changes


def test_catalogue_shows_what_the_person_sees() -> None:
    seen, hidden = new_offer(), new_offer(visibility=Visibility.GRANTED)
    page = Browser(new_member(new_team())).page("/models/", q="model-")
    assert seen.name in page
    assert hidden.name not in page


def test_catalogue_is_searched_by_name_and_description() -> None:
    word = new_name("word")
    by_name = new_offer(description="nothing")
    by_text = new_offer(description=f"Reads {word.upper()} well.")
    browser = Browser(new_person())
    page = browser.page("/models/", q=by_name.name.upper())
    assert model_url(by_name) in page
    assert model_url(by_text) not in page
    page = browser.page("/models/", q=word)
    assert model_url(by_text) in page
    assert model_url(by_name) not in page


@pytest.mark.parametrize("wild", ["%", "_", "%_%", "\\", "\\%"])
def test_wild_cards_are_searched_as_they_are_written(wild: str) -> None:
    word = new_name("word")
    other = new_offer(description=f"{word} nothing")
    match = new_offer(description=f"{word} {wild} here")
    page = Browser(new_person()).page("/models/", q=f"{word} {wild}")
    assert model_url(match) in page
    assert model_url(other) not in page


@pytest.mark.parametrize("q", ["x" * 101, "a\x00b"])
def test_search_that_makes_no_sense_says_so_and_filters_nothing(q: str) -> None:
    model = new_offer(description="x" * 120)
    page = Browser(new_person()).page("/models/", q=q, kind="nonsense", status="draft", page="-7")
    assert 'class="errorlist"' in page
    assert model_url(model) in page


FILTERS = [
    ({"kind": "embeddings"}, {"kind": ModelKind.EMBEDDINGS}),
    ({"data_class": "secret"}, {"data_class": DataClass.SECRET}),
]


@pytest.mark.parametrize(("query", "facts"), FILTERS)
def test_catalogue_is_filtered(query: dict[str, str], facts: dict[str, Any]) -> None:
    match, other = new_offer(**facts), new_offer()
    page = Browser(new_person()).page("/models/", **query)
    assert model_url(match) in page
    assert model_url(other) not in page


def test_catalogue_is_filtered_by_status_and_by_what_can_be_used() -> None:
    team = new_team()
    member, granted, deprecated = new_member(team), new_offer(), new_offer()
    set_model_status(deprecated, status=ModelStatus.DEPRECATED, actor=COMMAND)
    coming = new_offer()
    grant(granted, team)
    grant(coming, team, starts_at=tomorrow(), ends_at=days_ahead(2))
    browser = Browser(member)
    page = browser.page("/models/", usable="on")
    assert model_url(granted) in page
    assert model_url(deprecated) not in page
    assert model_url(coming) not in page
    page = browser.page("/models/", status="deprecated")
    assert model_url(deprecated) in page
    assert model_url(granted) not in page
    assert "No model matches" in browser.page("/models/", q=new_name("nothing"))


def many_models(count: int, **facts: Any) -> list[AiModel]:
    rows = [
        AiModel(
            name=new_name("many"),
            kind=ModelKind.CHAT,
            context_tokens=10,
            status=ModelStatus.PUBLISHED,
            **facts,
        )
        for _ in range(count)
    ]
    return AiModel.objects.bulk_create(rows)


def test_catalogue_has_pages_and_few_queries(django_assert_max_num_queries: MaxQueries) -> None:
    team = new_team()
    owner, models = new_member(team, Role.OWNER), many_models(120, owner=new_team())
    for model in models[:5]:
        grant(model, team)
    ask(owner, team, models[7])
    browser = Browser(owner)
    seen = []
    for number in ("1", "2", "3"):
        with django_assert_max_num_queries(QUERIES_MAX):
            page = browser.page("/models/", q="many-", page=number)
        seen.append({model.name for model in models if model_url(model) in page})
    assert [len(names) for names in seen] == [50, 50, 20]
    assert set.union(*seen) == {model.name for model in models}
    for junk in ("0", "x", "99", "\x00", "9" * 400):
        assert browser.get("/models/", page=junk).status_code == 200


@pytest.mark.parametrize("q", ["%_%", "%" * 100, "_" * 100, "%a%b%c%d%e%f"])
def test_hostile_search_of_many_rows_is_quick(q: str) -> None:
    [pattern] = many_models(1, description="abcdef " * 40)
    multiply(pattern, 3999, name="'many-' || number")
    browser = Browser(new_person())
    assert quickest_s(lambda: browser.page("/models/", q=q), under_s=0.1) < 0.1


def test_model_page_says_what_one_needs_to_know() -> None:
    team = new_team()
    model = new_offer(
        description=HOSTILE,
        owner=team,
        price_input=150_000,
        price_cached_input=1,
        price_output=12_345_678_000_000,
        price_reasoning=3_330_000,
        price_audio_input=0,
        context_tokens=131072,
        data_class=DataClass.CONFIDENTIAL,
    )
    set_model_status(model, status=ModelStatus.DEPRECATED, sunset_at=days_ahead(30), actor=COMMAND)
    page = Browser(new_member(team)).page(model_url(model))
    assert shows_as_text(page)
    words = words_of(page)
    for fact in (
        "$0.15",
        "$0.000001",
        "$12,345,678.00",
        "131,072 tokens",
        "1,024 tokens",
        "Confidential",
        team.name,
        f"stops answering on {days_ahead(30):%-d %B %Y}",
    ):
        assert fact in words, fact
    assert "Reasoning $3.33 Audio input $0.00" in words
    assert "Audio output" not in words


@pytest.mark.parametrize(
    ("micro", "text"),
    [(0, "$0.00"), (1, "$0.000001"), (1_500_000, "$1.50"), (999_999, "$0.999999")],
)
def test_price_is_written_exactly(micro: int, text: str) -> None:
    assert usd(micro) == text


def test_model_page_shows_the_grants_of_ones_own_teams_alone() -> None:
    account, other, model = new_account(), new_team(), new_offer()
    grant(model, account.team, requests_per_minute=12_345)
    grant_model(model, to=account, scopes=[Scope.CHAT], ends_at=days_ahead(9), actor=COMMAND)
    grant(model, other, tokens_per_minute=7_654_321)
    words = words_of(Browser(new_member(account.team, Role.AUDITOR)).page(model_url(model)))
    assert "12,345 a minute" in words
    assert f"{account.name} · {account.team.name}" in words
    assert f"{days_ahead(9):%-d %b %Y}" in words
    assert other.name not in words
    assert "7,654,321" not in words
    none = words_of(Browser(new_member(new_team())).page(model_url(model)))
    assert "None of your teams may call it yet" in none


@pytest.mark.parametrize("name", ["a/b", "org/model-1.5:70b", "x/ask", "ask", "a/ask/ask", "v1/"])
def test_model_whose_name_has_slashes_has_its_page(name: str) -> None:
    model = new_offer()
    AiModel.objects.filter(pk=model.pk).update(name=name)
    browser = Browser(new_member(new_team()))
    assert f"<h1>{name}</h1>" in browser.page(reverse("model", args=[name]))
    assert f"<h1>Ask for {name}</h1>" in browser.page(reverse("ask", args=[name]))


def test_model_named_like_the_asking_for_another_hides_neither() -> None:
    short, long = new_offer(), new_offer()
    AiModel.objects.filter(pk=long.pk).update(name=f"{short.name}/ask")
    browser = Browser(new_member(new_team()))
    for name in (short.name, f"{short.name}/ask"):
        assert f"<h1>{name}</h1>" in browser.page(reverse("model", args=[name]))
        assert f"<h1>Ask for {name}</h1>" in browser.page(reverse("ask", args=[name]))


TRAVERSAL = [
    "../",
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e/",
    "....//",
    "..;/",
    "a;b",
    "a\\..\\b",
    "%00",
    "a%00",
    "a%0ab",
    "%252e%252e%252f",
    "\u2025/",
    "x" * 3000,
    "'; DROP TABLE x; --",
    "%25_%25",
]


@pytest.mark.parametrize("name", TRAVERSAL)
@pytest.mark.parametrize("page", ["models", "ask"])
def test_hostile_name_is_found_nowhere(name: str, page: str) -> None:
    browser = Browser(new_member(new_team()))
    assert browser.get(f"/{page}/{name}/").status_code == 404
    assert browser.get(model_url(new_offer())).status_code == 200


def test_hidden_model_answers_like_one_that_does_not_exist() -> None:
    hidden = new_offer(visibility=Visibility.GRANTED)
    browser = Browser(new_member(new_team(), Role.OWNER))
    for address in (model_url(hidden), ask_url(hidden)):
        there = browser.get(address)
        nowhere = browser.get(address.replace(hidden.name, new_name("model")))
        assert (there.status_code, nowhere.status_code) == (404, 404)
        assert without_tokens(text_of(there)) == without_tokens(text_of(nowhere))
    assert browser.post(ask_url(hidden)).status_code == 404


@pytest.mark.parametrize("kind", ModelKind)
def test_snippets_name_the_model_and_this_gateway(kind: ModelKind) -> None:
    model = new_offer(kind)
    words = words_of(Browser(new_person()).page(model_url(model)))
    base_url = f"{settings.LATCHKEY_BASE_URL}/v1"
    for part in (f"curl {base_url}/", f'base_url="{base_url}"', f'baseURL: "{base_url}"'):
        assert part in words
    assert words.count(f'"{model.name}"') == 3
    source = next(one.text for one in snippets_for(model) if one.language == "Python")
    assert compile(source, "snippet", "exec")


@pytest.mark.parametrize("role", Role)
def test_each_role_asks_as_its_rights_say(role: Role) -> None:
    team, model = new_team(), new_offer()
    person = new_member(team, role)
    browser = Browser(person)
    may_ask = role is not Role.AUDITOR
    assert (ask_url(model) in browser.page(model_url(model))) == may_ask
    assert browser.get(ask_url(model)).status_code == (200 if may_ask else 403)
    reply = browser.post(ask_url(model), **asked(person, team))
    if may_ask:
        request = team.access_requests.get()
        assert (reply.status_code, reply["Location"]) == (
            302,
            reverse("request", args=[request.pk]),
        )
        assert "You asked" in browser.page(reply["Location"])
    else:
        assert reply.status_code == 403
        assert not team.access_requests.exists()


def test_person_without_a_team_cannot_ask() -> None:
    browser, model = Browser(new_person()), new_offer()
    assert ask_url(model) not in browser.page(model_url(model))
    assert browser.get(ask_url(model)).status_code == 403


def test_several_models_are_asked_for_in_their_kinds() -> None:
    account = new_account()
    person = new_member(account.team)
    chat, embeddings = new_offer(), new_offer(ModelKind.EMBEDDINGS)
    values = asked(person, account.team, others=[embeddings.name], requests_per_minute="5")
    values["for_whom"] = f"account:{account.pk}"
    browser = Browser(person)
    assert browser.post(ask_url(chat), **values).status_code == 302
    request = account.team.access_requests.get()
    assert request.service_account == account
    assert request.scopes == ["chat", "embeddings"]
    assert (request.requests_per_minute, request.tokens_per_minute) == (5, None)
    assert request.wanted_until.date() == days_ahead(30).date()
    assert request.status == RequestStatus.OPEN
    page = browser.page(model_url(chat))
    assert reverse("request", args=[request.pk]) in page
    assert "Asked for" in words_of(browser.page("/models/", q=chat.name))


def test_kinds_of_call_are_chosen_among_those_of_the_models() -> None:
    team, chat, embeddings = new_team(), new_offer(), new_offer(ModelKind.EMBEDDINGS)
    person = new_member(team)
    others, both = [embeddings.name], ["chat", "embeddings"]
    page = refused_ask({"scopes": ["chat"], "others": others}, person, team, chat)
    assert "called by embeddings too" in page
    team.access_requests.all().delete()
    assert "called by embeddings" in refused_ask({"scopes": both}, person, team, chat)
    team.access_requests.all().delete()
    reply = Browser(person).post(ask_url(chat), **asked(person, team, scopes=both, others=others))
    assert reply.status_code == 302
    assert team.access_requests.get().scopes == both


def refused_ask(values: dict[str, Any], member: User, team: Team, model: AiModel) -> str:
    """The form's answer to these values, which a right form from the same page does not get."""
    browser = Browser(member)
    reply = browser.post(ask_url(model), **asked(member, team, **values))
    assert reply.status_code == 200
    assert not team.access_requests.exists()
    page = text_of(reply)
    assert 'class="errorlist"' in page
    assert browser.post(ask_url(model), **asked(member, team)).status_code == 302
    return page


REFUSED: list[dict[str, Any]] = [
    {"for_whom": ""},
    {"for_whom": f"team:{uuid.UUID(int=1)}"},
    {"for_whom": "team:x"},
    {"justification": ""},
    {"justification": "x" * 2001},
    {"justification": "a\x00b"},
    {"wanted_until": ""},
    {"wanted_until": "yesterday"},
    {"wanted_until": "2020-01-01"},
    {"wanted_until": "9999-12-31"},
    {"requests_per_minute": "0"},
    {"requests_per_minute": "many"},
    {"tokens_per_minute": "9" * 30},
    {"others": ["nothing"]},
    {"scopes": ["embeddings"]},
    {"scopes": ["administer"]},
]


@pytest.mark.parametrize("values", REFUSED, ids=str)
def test_wrong_form_is_shown_again_with_what_is_wrong(values: dict[str, Any]) -> None:
    team = new_team()
    refused_ask(values, new_member(team), team, new_offer())


def test_what_is_not_ones_own_cannot_be_chosen() -> None:
    other, hidden = new_account(), new_offer(visibility=Visibility.GRANTED)
    for values in (
        {"for_whom": f"team:{other.team_id}"},
        {"for_whom": f"account:{other.pk}"},
        {"others": [hidden.name]},
    ):
        team = new_team()
        page = refused_ask(values, new_member(team), team, new_offer())
        assert other.name not in page
    assert not other.team.access_requests.exists()


def test_what_was_written_is_shown_again_as_text() -> None:
    team = new_team()
    values = {"justification": HOSTILE, "wanted_until": ""}
    assert shows_as_text(refused_ask(values, new_member(team), team, new_offer()))


def test_model_that_was_asked_for_says_so_where_it_would_say_to_ask() -> None:
    team, model = new_team(), new_offer()
    member = new_member(team)
    assert "say what for and until when" in Browser(member).page(model_url(model))
    ask(member, team, model)
    page = Browser(member).page(model_url(model))
    assert "A request for it waits for a decision." in page
    assert "say what for and until when" not in page


def test_second_request_for_a_model_is_refused_at_its_field() -> None:
    team, model = new_team(), new_offer()
    member = new_member(team)
    ask(new_member(team), team, model)
    reply = Browser(member).post(ask_url(model), **asked(member, team))
    assert reply.status_code == 200
    assert "asks for" in text_of(reply)
    assert team.access_requests.count() == 1


@pytest.mark.parametrize("which", ["model", "ask"])
def test_pages_of_a_model_need_few_queries(
    django_assert_max_num_queries: MaxQueries, which: str
) -> None:
    member, model = new_person(), new_offer(owner=new_team())
    for _ in range(4):
        account = new_account()
        account.team.memberships.create(person=member, role=Role.OWNER)
        grant(model, account.team)
        grant_model(model, to=account, scopes=[Scope.CHAT], ends_at=tomorrow(), actor=COMMAND)
        ask(member, account.team, model)
    browser = Browser(member)
    with django_assert_max_num_queries(QUERIES_MAX):
        browser.page(reverse(which, args=[model.name]))
