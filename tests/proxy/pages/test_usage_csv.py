"""The CSV of usage: what the page says, in a form that no spreadsheet runs."""

import csv
import io
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.http import StreamingHttpResponse
from django.test import AsyncClient

from accounts.models import ApiKey, ServiceAccount, Team, User
from accounts.models.teams import Role
from portal.lib.clock import utc_now
from proxy.access import sight_of
from proxy.usage import csv_export
from proxy.usage.csv_export import csv_parts, safe_cell
from proxy.usage.span import days_until
from tests.accounts.rows import new_account, new_key, new_member, new_team
from tests.models_registry.rows import new_model
from tests.proxy.ledger_rows import call_with, new_call


def download(person: User, query: str = "") -> tuple[dict[str, str], list[dict[str, str]]]:
    """The answer's headers and its lines, as an ASGI server sends them."""

    async def ask() -> tuple[dict[str, str], str]:
        client = AsyncClient()
        await client.aforce_login(person)
        answer = await client.get(f"/usage.csv{query}")
        assert answer.status_code == 200
        assert isinstance(answer, StreamingHttpResponse)
        parts = [part async for part in answer]
        return dict(answer.headers), b"".join(parts).decode()

    headers, text = async_to_sync(ask)()
    return headers, list(csv.DictReader(io.StringIO(text)))


@pytest.mark.usefixtures("committed")
def test_the_file_holds_a_line_for_each_day_key_and_model() -> None:
    team, model = new_team(), new_model()
    account = new_account(team)
    key = new_key(account).key
    facts = {"input_tokens": 5, "cached_tokens": 1, "output_tokens": 7, "reasoning_tokens": 2}
    for status in ("answered", "failed", "refused"):
        call_with(key, model, status=status, cost_micro_usd=1_000_001, **facts)
    call_with(key, admitted_at=utc_now() - timedelta(days=1))
    new_call(new_team())
    headers, lines = download(new_member(team, Role.OWNER))
    today = f"{utc_now():%Y-%m-%d}"
    assert headers["Content-Type"] == "text/csv; charset=utf-8"
    assert headers["Content-Disposition"].startswith('attachment; filename="usage-20')
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "private, no-store"
    assert [line["day"] for line in lines] == [f"{utc_now() - timedelta(days=1):%Y-%m-%d}", today]
    assert lines[1] == {
        "day": today, "team": team.name, "key": "First", "holder": account.name, "model": model.name, "calls": "3",
        "failures": "1", "refusals": "1", "input_tokens": "15", "cached_tokens": "3", "output_tokens": "21",
        "reasoning_tokens": "6", "cost_usd": "3.000003", "team_id": str(team.pk), "key_id": str(key.pk),
        "model_id": str(model.pk),
    }  # fmt: skip


@pytest.mark.usefixtures("committed")
def test_a_member_downloads_what_their_own_keys_used() -> None:
    team = new_team()
    member = new_member(team)
    own = new_call(team, member)
    new_call(team, new_member(team))
    _, lines = download(member, f"?team={team.slug}&range=7d")
    assert [line["key_id"] for line in lines] == [str(own.key_id)]


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")']


@pytest.mark.django_db
@pytest.mark.parametrize("formula", FORMULAS)
def test_no_name_becomes_a_formula(formula: str) -> None:
    team, model = new_team(), new_model()
    key = new_key(new_account(team)).key
    call_with(key, model)
    owner = new_member(team, Role.OWNER)
    Team.objects.filter(pk=team.pk).update(name=formula)
    ApiKey.objects.filter(pk=key.pk).update(name=formula)
    ServiceAccount.objects.filter(keys=key).update(name=formula)
    type(model).objects.filter(pk=model.pk).update(name=formula)
    [line] = _lines(owner)
    assert [line[name] for name in ("team", "key", "holder", "model")] == [f"'{formula}"] * 4


def _lines(person: User) -> list[dict[str, str]]:
    parts = csv_parts(sight_of(person), days_until(utc_now().date(), 1))
    return list(csv.DictReader(io.StringIO("".join(parts), newline="")))


@pytest.mark.parametrize("text", ["plain", "a=b", "1-2", "", " =1", "'=1", "ä"])
def test_other_text_is_left_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


@pytest.mark.django_db
def test_the_file_ends_at_its_bound_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_export, "LINES_MAX", 3)
    team = new_team()
    owner = new_member(team, Role.OWNER)
    for _ in range(3):
        new_call(team)
    assert len(_lines(owner)) == 3
    new_call(team)
    lines = _lines(owner)
    assert len(lines) == 4
    assert lines[-1]["day"] == "Cut after 3 lines. Ask for fewer days."
