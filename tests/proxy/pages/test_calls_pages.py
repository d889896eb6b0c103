"""The log of calls and a call's page: who sees which, every filter both ways, page by page, and what is gone."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import Team, User
from accounts.models.teams import Role
from portal.lib.clock import utc_now
from portal.lib.ids import new_id
from proxy.errors import Code
from proxy.models import first_id_at
from proxy.pages.calls import CALLS_A_PAGE
from proxy.templatetags.figures import tail
from tests.accounts.oauth.world import new_machine
from tests.accounts.rows import new_account, new_key, new_member, new_person, new_team
from tests.models_registry.rows import new_model
from tests.proxy.ledger_rows import call_with, correct, new_call
from tests.proxy.pages.reading import HOSTILE, QUERIES_MAX, key_of, read, sign_in, words

pytestmark = pytest.mark.django_db


def listed(client: Client, query: str = "") -> list[str]:
    """The ids of the calls that are listed, from the top."""
    return re.findall(r'href="/calls/([0-9a-f-]{36})/"', read(client, f"/calls/{query}"))


@pytest.mark.parametrize(
    ("role", "sees_all"),
    [(Role.OWNER, True), (Role.MANAGER, True), (Role.AUDITOR, True), (Role.MEMBER, False)],
)
def test_each_role_lists_the_team_s_calls_or_those_of_own_keys(
    role: Role, *, sees_all: bool
) -> None:
    team = new_team()
    person = new_member(team, role)
    own = call_with(key_of(person, team))
    other = call_with(new_key(new_account(team)).key)
    foreign = new_call(new_team())
    client = sign_in(person)
    expected = [str(other.pk), str(own.pk)] if sees_all else [str(own.pk)]
    assert listed(client) == expected
    for call in (own, other, foreign):
        status = 200 if str(call.pk) in expected else 404
        assert client.get(f"/calls/{call.pk}/").status_code == status


def test_a_hidden_call_answers_like_one_that_does_not_exist() -> None:
    client = sign_in(new_member(new_team(), Role.OWNER))
    hidden, unknown = new_call(new_team()).pk, new_id()
    answers = [client.get(f"/calls/{one}/") for one in (hidden, unknown)]
    assert [answer.status_code for answer in answers] == [404, 404]
    first, second = (words(answer.content.decode()) for answer in answers)
    assert first == second


def test_pages_follow_one_another_without_a_gap() -> None:
    team = new_team()
    calls = [str(new_call(team).pk) for _ in range(2 * CALLS_A_PAGE + 3)]
    client = sign_in(new_member(team, Role.OWNER))
    seen, query = list[str](), ""
    while True:
        page = read(client, f"/calls/{query}")
        seen += re.findall(r'href="/calls/([0-9a-f-]{36})/"', page)
        older = re.search(r'href="(\?before=[^"]+)"', page)
        if older is None:
            break
        query = older[1].replace("&amp;", "&")
    assert seen == calls[::-1]
    assert "Newest" in words(page)


def test_several_teams_and_own_keys_come_in_one_order() -> None:
    first, second, third = new_team(), new_team(), new_team()
    person = new_member(first, Role.OWNER)
    second.memberships.create(person=person, role=Role.AUDITOR)
    third.memberships.create(person=person, role=Role.MEMBER)
    keys = [key_of(person, third) for _ in range(2)]
    calls = []
    for _ in range(3):
        calls += [new_call(first), new_call(second), *map(call_with, keys)]
        new_call(third, new_member(third))
    assert listed(sign_in(person)) == [str(call.pk) for call in reversed(calls)]
    only = f"?team={third.slug}"
    assert len(listed(sign_in(person), only)) == 6


def test_each_filter_finds_its_calls_and_no_others() -> None:
    team, model = new_team(), new_model()
    key = new_key(new_account(team)).key
    plain = new_call(team)
    of_key, of_model = call_with(key), new_call(team, model_id=model.pk)
    failed = new_call(team, status="failed")
    client = sign_in(new_member(team, Role.OWNER))
    everything = [str(call.pk) for call in (failed, of_model, of_key, plain)]
    assert listed(client) == everything
    assert listed(client, f"?key={key.pk}") == [str(of_key.pk)]
    assert listed(client, f"?model={model.name}") == [str(of_model.pk)]
    assert listed(client, f"?model={model.pk}") == [str(of_model.pk)]
    assert listed(client, "?status=failed") == [str(failed.pk)]
    assert listed(client, f"?team={team.slug}&status=answered") == everything[1:]
    for nothing in ("?model=none", f"?model={uuid.uuid4()}", f"?key={uuid.uuid4()}"):
        assert listed(client, nothing) == []
        assert "No call fits" in read(client, f"/calls/{nothing}")


def test_a_hidden_model_s_name_finds_nothing_like_an_unknown_one() -> None:
    hidden = new_model()
    client = sign_in(new_member(new_team(), Role.OWNER))
    page = words(read(client, f"/calls/?model={hidden.name}"))
    assert page == words(read(client, "/calls/?model=none"))
    assert "No call fits" in page


def test_a_corrected_call_is_found_under_what_it_is_now() -> None:
    team = new_team()
    late = new_call(team, status="interrupted", code="interrupted")
    correct(late, status="answered", http_status=200, output_tokens=70, cost_micro_usd=12)
    lost = new_call(team, status="interrupted", code="interrupted")
    client = sign_in(new_member(team, Role.OWNER))
    assert listed(client, "?status=answered") == [str(late.pk)]
    assert listed(client, "?status=interrupted") == [str(lost.pk)]
    text = words(read(client, f"/calls/{late.pk}/"))
    assert "Call Answered" in text
    assert "Corrected: Answered" in text
    assert "70 more output tokens, $0.000012 more" in text


def test_days_bound_the_list() -> None:
    team = new_team()
    now = utc_now()
    old_id = uuid.UUID(int=first_id_at(int((now - timedelta(days=40)).timestamp()) * 1000).int + 7)
    old = new_call(team, id=old_id)
    new_call(team)
    client = sign_in(new_member(team, Role.OWNER))
    day = f"{now - timedelta(days=40):%Y-%m-%d}"
    assert str(old.pk) not in listed(client)
    assert listed(client, f"?first={day}&last={day}") == [str(old.pk)]
    too_many = f"/calls/?first={day}&last={now:%Y-%m-%d}"
    assert "more than 31 days" in read(client, too_many)
    assert client.get("/calls/?range=90d").status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "?before=x",
        "?key=%_%",
        "?key=lk_1",
        "?status=x",
        "?model=%25_%25",
        "?range=x",
        "?before=%00",
    ],
)
def test_nonsense_is_no_error(query: str) -> None:
    team = new_team()
    new_call(team)
    assert read(sign_in(new_member(team, Role.OWNER)), f"/calls/{query}")


def test_a_call_s_page_says_everything_about_it() -> None:
    team, model = new_team(), new_model()
    owner = new_member(team, Role.OWNER)
    key = key_of(owner, team, "Laptop")
    call = call_with(
        key,
        model,
        peer="10.1.2.3",
        request_id="req-1",
        purpose="support desk",
        stream=True,
        reserved_tokens=9000,
        attempts=1,
        input_tokens=1200,
        cached_tokens=200,
        output_tokens=34,
        reasoning_tokens=4,
        cost_micro_usd=1_234_567,
        duration_us=1_500_000,
        upstream_us=1_400_000,
        first_byte_us=300_000,
        answer_bytes=2048,
        price_input_micro_usd_per_million=150_000,
        price_output_micro_usd_per_million=600_000,
        input_audio_tokens=30,
        price_audio_input_micro_usd_per_million=7_000_000,
    )
    text = words(read(sign_in(owner), f"/calls/{call.pk}/"))
    for said in (
        "Call Answered", "Cost $1.2346", "Tokens used 1,234 9,000 were reserved", "Time taken 1.50 s 100 ms of it",
        "Gateway 100 ms", "Until the first byte 300 ms", "Rest of the answer 1.10 s", "from 10.1.2.3", "chat, streamed",
        f"Model {model.name}", f"Key Laptop {key}", f"Holder {owner.email}", f"Team {team.name}", "Purpose support desk",
        "Request id req-1", "1,200, 200 of them cached, 30 audio", "34, 4 of them reasoning", "$0.15 input", "$0.60 output", "$7.00 audio input",
        "Answer 200 2.0 KB",
    ):  # fmt: skip
        assert said in text.replace("\xa0", " "), said


def test_a_refusal_says_its_reason_and_no_upstream() -> None:
    team = new_team()
    call = new_call(team, status="refused", code="limit_reached", http_status=429)
    text = words(read(sign_in(new_member(team, Role.OWNER)), f"/calls/{call.pk}/"))
    assert f"limit_reached : {Code.LIMIT_REACHED.text}" in text
    assert "No model's server was called" in text.replace("&#x27;", "'")


def test_a_refusal_without_a_model_tells_no_price_and_no_answer() -> None:
    team, model = new_team(), new_model()
    owner = new_member(team, Role.OWNER)
    facts: dict[str, Any] = {"status": "refused", "code": "limit_reached", "http_status": 429}
    known = call_with(key_of(owner, team, "Known"), model, **facts)
    unknown = new_call(team, **facts)
    text = words(read(sign_in(owner), f"/calls/{unknown.pk}/"))
    assert "Model No model" in text
    assert "Price at the time" not in text
    assert "0 bytes" not in text.replace("\xa0", " ")
    assert "Price at the time" in words(read(sign_in(owner), f"/calls/{known.pk}/"))


def test_call_by_a_token_bears_the_name_of_its_client() -> None:
    client = new_machine().client
    call = new_call(client.team, key_id=client.credential_id)
    browser = sign_in(new_member(client.team, Role.OWNER))
    assert "Nightly job" in words(read(browser, "/calls/"))
    assert "By a token of Nightly job" in words(read(browser, f"/calls/{call.pk}/"))
    client.delete()
    assert f"Key Gone {tail(call.key_id)}" in words(read(browser, f"/calls/{call.pk}/"))


def test_what_is_gone_is_shown_by_its_id() -> None:
    team, gone = new_team(), new_id()
    call = new_call(team, model_id=gone)
    client = sign_in(new_member(team, Role.OWNER))
    assert f"Gone {tail(gone)}" in words(read(client, "/calls/"))
    text = words(read(client, f"/calls/{call.pk}/"))
    assert f"Model Gone {tail(gone)}" in text
    assert f"Key Gone {tail(call.key_id)}" in text


def test_hostile_text_is_shown_as_the_text_it_is() -> None:
    team = new_team()
    Team.objects.filter(pk=team.pk).update(name=HOSTILE[:100])
    owner = new_member(team, Role.OWNER)
    User.objects.filter(pk=owner.pk).update(name=HOSTILE)
    texts = dict.fromkeys(("peer", "request_id", "purpose", "code", "kind", "status"), HOSTILE)
    call = call_with(key_of(owner, team, HOSTILE[:100]), None, **texts)
    client = sign_in(owner)
    for page in (read(client, "/calls/"), read(client, f"/calls/{call.pk}/")):
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)" in page
        assert "{{ 7|add:7 }}" in page
        assert not re.search(r"<[^>]*\sonload=", page)


@pytest.mark.parametrize("role", [Role.OWNER, Role.MEMBER])
def test_few_queries_however_many_calls(
    role: Role, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    team = new_team()
    person = new_member(team, role)
    for _ in range(10):
        model = new_model()
        call_with(key_of(person, team), model)
        new_call(team, person, model_id=uuid.uuid4())
        correct(new_call(team, person, status="interrupted"))
    last = call_with(key_of(person, team), model, status="interrupted")
    correct(last)
    client = sign_in(person)
    for address in ("/calls/", f"/calls/?model={model.name}", f"/calls/{last.pk}/"):
        with django_assert_max_num_queries(QUERIES_MAX):
            assert client.get(address).status_code == 200


def test_nobody_in_particular_sees_nothing_and_a_stranger_signs_in() -> None:
    assert listed(sign_in(new_person(is_administrator=True))) == []
    for address in ("/calls/", f"/calls/{new_id()}/"):
        answer = Client().get(address)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/sign-in/")
        assert sign_in(new_person()).post(address).status_code == 405


def test_the_day_of_a_call_is_that_of_its_id_in_utc() -> None:
    team = new_team()
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    bound = first_id_at(int(midnight.timestamp()) * 1000).int
    before, at = (new_call(team, id=uuid.UUID(int=bound + ahead)).pk for ahead in (-1, 0))
    client = sign_in(new_member(team, Role.OWNER))
    assert listed(client, "?first=2026-02-28&last=2026-02-28") == [str(before)]
    assert listed(client, "?first=2026-03-01&last=2026-03-01") == [str(at)]
