"""The page of usage: each role's figures, bounded questions, few queries, and no text that could do anything."""

import re
import uuid
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import Team, User
from accounts.models.teams import Role
from portal.lib.clock import utc_now
from portal.lib.ids import new_id
from proxy.templatetags.figures import tail
from tests.accounts.rows import new_account, new_key, new_member, new_person, new_team
from tests.models_registry.rows import new_model
from tests.proxy.ledger_rows import call_with, new_call
from tests.proxy.pages.reading import HOSTILE, QUERIES_MAX, key_of, read, sign_in, words

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("role", "cost"),
    [
        (Role.OWNER, "$3.00"),
        (Role.MANAGER, "$3.00"),
        (Role.AUDITOR, "$3.00"),
        (Role.MEMBER, "$1.00"),
    ],
)
def test_the_sum_is_the_team_s_or_of_own_keys(role: Role, cost: str) -> None:
    team = new_team()
    person = new_member(team, role)
    call_with(key_of(person, team), cost_micro_usd=1_000_000)
    new_call(team, new_member(team), cost_micro_usd=2_000_000)
    new_call(new_team(), cost_micro_usd=9_000_000)
    assert f"Cost {cost}" in words(read(sign_in(person), "/usage/"))


def test_every_side_of_usage_has_its_name_and_figures() -> None:
    team, model = new_team(), new_model()
    owner = new_member(team, Role.OWNER)
    own, account = key_of(owner, team, "Laptop"), new_account(team)
    facts = {"input_tokens": 1200, "cached_tokens": 200, "output_tokens": 34, "reasoning_tokens": 4}
    call_with(own, model, cost_micro_usd=1234, **facts)
    call_with(new_key(account).key, model, status="failed")
    call_with(own, None, status="refused")
    text = words(read(sign_in(owner), "/usage/"))
    row = "0 0 1,200 200 34 4 $0.001234"
    assert "3 1 failed, 1 refused" in text
    assert f"{model.name} 2 1 0 1,200 200 34 4 $0.001234" in text
    assert f"Laptop {own} 2 0 1 1,200 200 34 4 $0.001234" in text
    assert f"{owner.email} Person 2 0 1 1,200" in text
    assert f"{account.name} Service account 1 1 0" in text
    assert "No model 1 0 1" in text
    assert f"{utc_now():%Y-%m-%d} 3 1 1 1,200" in text
    assert row not in text


def test_what_is_gone_is_shown_by_its_id() -> None:
    team, gone = new_team(), new_id()
    new_call(team, model_id=gone)
    assert f"Gone {tail(gone)}" in words(read(sign_in(new_member(team, Role.OWNER)), "/usage/"))


def test_the_dearest_fifty_keys_are_shown_and_the_rest_counted() -> None:
    team = new_team()
    keys = [new_call(team, cost_micro_usd=cost).key_id for cost in range(1, 53)]
    page = read(sign_in(new_member(team, Role.OWNER)), "/usage/")
    assert "2 more are in the CSV." in words(page)
    assert [tail(key) in page for key in keys] == [False] * 2 + [True] * 50


def test_a_team_is_chosen_and_others_are_no_choice() -> None:
    team, second, foreign = new_team(), new_team(), new_team()
    owner = new_member(team, Role.OWNER)
    second.memberships.create(person=owner, role=Role.OWNER)
    for number, each in enumerate((team, second, foreign), start=1):
        new_call(each, cost_micro_usd=number * 1_000_000)
    client = sign_in(owner)
    assert "Cost $3.00" in words(read(client, "/usage/"))
    assert "By team Name Calls" in words(read(client, "/usage/"))
    assert "Cost $2.00" in words(read(client, f"/usage/?team={second.slug}"))
    hidden = words(read(client, f"/usage/?team={foreign.slug}"))
    unknown = words(read(client, "/usage/?team=nobody"))
    assert hidden.replace(foreign.slug, "nobody") == unknown
    assert "not one of the available choices" in unknown
    assert "Cost" not in unknown.partition("Please look")[2]


def test_days_outside_the_span_do_not_count() -> None:
    team = new_team()
    now = utc_now()
    for days in (0, 6, 7, 29, 30):
        new_call(team, admitted_at=now - timedelta(days=days), cost_micro_usd=1_000_000)
    client = sign_in(new_member(team, Role.OWNER))
    assert "Cost $2.00" in words(read(client, "/usage/?range=7d"))
    assert "Cost $4.00" in words(read(client, "/usage/"))
    day = f"{now - timedelta(days=7):%Y-%m-%d}"
    assert "Cost $1.00" in words(read(client, f"/usage/?first={day}&last={day}"))


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("first=2025-01-01&last=2026-02-05", "more than 400 days"),
        ("first=2026-02-02&last=2026-02-01", "before the last one"),
        ("first=2026-02-02", "both days"),
        ("first=0001-01-01&last=0001-01-02", "before the last one"),
        ("first=9999-12-31&last=9999-12-31", "before the last one"),
        ("first=x&last=%00", "valid date"),
    ],
)
def test_a_question_that_is_no_span_gets_its_reason(query: str, message: str) -> None:
    client = sign_in(new_member(new_team()))
    assert message in read(client, f"/usage/?{query}")
    refused = client.get(f"/usage.csv?{query}")
    assert refused.status_code == 400
    assert message in refused.content.decode()


def test_four_hundred_days_are_answered_by_weeks() -> None:
    team = new_team()
    new_call(team)
    client = sign_in(new_member(team, Role.OWNER))
    today = utc_now().date()
    page = read(client, f"/usage/?first={today - timedelta(days=399)}&last={today}")
    assert page.count("<g><title>") == 2 * -(-400 // 7)


@pytest.mark.parametrize("show", ["calls", "tokens", "cost", "nonsense", ""])
def test_the_chart_is_svg_without_style_or_script(show: str) -> None:
    team = new_team()
    new_call(team, input_tokens=10, output_tokens=5, cost_micro_usd=3)
    page = read(sign_in(new_member(team, Role.OWNER)), f"/usage/?show={show}")
    assert page.count('<svg class="chart"') == 2
    assert not re.search(r"\sstyle=|<style|\son\w+=", page)


class Tags(HTMLParser):
    """Every tag that a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, attrs))


def test_names_are_shown_as_the_text_they_are() -> None:
    team = new_team()
    Team.objects.filter(pk=team.pk).update(name=HOSTILE[:100])
    owner = new_member(team, Role.OWNER)
    User.objects.filter(pk=owner.pk).update(name=HOSTILE)
    key = key_of(owner, team, HOSTILE[:100])
    call_with(key)
    page = read(sign_in(owner), "/usage/?show=%22%3E%3Cscript%3E&team=%3Cscript%3Ealert(1)")
    page += read(sign_in(owner), "/usage/")
    tags = Tags(page).seen
    assert not [tag for tag, attrs in tags if tag == "script" and "src" not in dict(attrs)]
    assert not [name for _, attrs in tags for name, _ in attrs if name.startswith("on")]
    assert "&lt;script&gt;alert(1)" in page
    assert "{{ 7|add:7 }}" in words(page)


@pytest.mark.parametrize("role", [Role.OWNER, Role.MEMBER])
def test_few_queries_however_much_was_used(
    role: Role, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    team = new_team()
    person = new_member(team, role)
    for _ in range(5):
        call_with(key_of(person, team), new_model())
        call_with(new_key(new_account(team)).key, new_model())
        new_call(team, model_id=uuid.uuid4(), person_id=uuid.uuid4())
    client = sign_in(person)
    with django_assert_max_num_queries(QUERIES_MAX):
        client.get("/usage/")


def test_who_is_in_no_team_is_told_so_and_a_stranger_signs_in() -> None:
    assert "No calls in these days" in read(sign_in(new_person()), "/usage/")
    for address in ("/usage/", "/usage.csv"):
        answer = Client().get(address)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/sign-in/")
        assert sign_in(new_person()).post(address).status_code == 405
