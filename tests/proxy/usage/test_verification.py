"""`manage.py verify_ledger` finds each kind of wrong that it looks for, and nothing in a sound ledger."""

import random
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import ApiKey
from portal.lib.ids import new_id
from proxy.models import Call, StaleHour, UsageDay, UsageHour, first_id_at
from tests.accounts.rows import new_key
from tests.proxy.ledger_rows import call_with, correct

pytestmark = pytest.mark.django_db
PRICES = {
    "price_input_micro_usd_per_million": 2_000_000,
    "price_cached_micro_usd_per_million": 500_000,
    "price_output_micro_usd_per_million": 8_000_000,
}
USED = {"input_tokens": 100, "cached_tokens": 40, "output_tokens": 10, "reasoning_tokens": 4}
COST = 60 * 2 + 20 + 80


@pytest.fixture
def noon() -> datetime:
    """Noon of a day that no other test has calls in."""
    return datetime(2100, 1, 1, 12, tzinfo=UTC) + timedelta(days=random.randrange(30_000))


@pytest.fixture
def key() -> ApiKey:
    return new_key().key


def call_at(when: datetime, key: ApiKey, **changes: Any) -> Call:
    unix_ms = int(when.timestamp()) * 1000
    call_id = uuid.UUID(int=first_id_at(unix_ms).int + random.getrandbits(60))
    facts: dict[str, Any] = (
        {"id": call_id, "admitted_at": when, "cost_micro_usd": COST} | PRICES | USED
    )
    return call_with(key, **(facts | changes))


def verify(when: datetime) -> str:
    """Return what the command says of the day."""
    said, day = StringIO(), str(when.date())
    with suppress(CommandError):
        call_command("verify_ledger", "--from", day, "--to", day, stdout=said)
    return said.getvalue()


def test_a_sound_day_has_nothing_wrong(noon: datetime, key: ApiKey) -> None:
    call_at(noon, key)
    call_at(noon, key, cost_micro_usd=COST - 80 + 24 + 40, output_tokens=9, reasoning_tokens=4,
            price_reasoning_micro_usd_per_million=6_000_000)  # fmt: skip
    heard = {"input_audio_tokens": 5, "price_audio_input_micro_usd_per_million": 40_000_000}
    call_at(noon + timedelta(hours=2), key, cost_micro_usd=COST - 10 + 200, **heard)
    call_at(noon, key, status="refused", cost_micro_usd=0, **dict.fromkeys([*PRICES, *USED], 0))
    assert verify(noon) == "Nothing is wrong in 1 days.\n"


def test_a_day_without_anything_is_none(noon: datetime) -> None:
    assert verify(noon) == "Nothing is wrong in 0 days.\n"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"cost_micro_usd": COST + 1}, f"costs {COST + 1}, its tokens make {COST}"),
        ({"cost_micro_usd": 0}, f"costs 0, its tokens make {COST}"),
        ({"cached_tokens": 101, "cost_micro_usd": 0}, "more cached and audio than input"),
        ({"input_audio_tokens": 61}, "more cached and audio than input"),
        ({"output_audio_tokens": 7}, "more reasoning and audio than output"),
        ({"duration_us": -1}, "a figure below 0"),
        ({"status": "splendid"}, "no such status"),
        ({"kind": "video"}, "no such kind"),
    ],
)
def test_an_odd_row_is_named(
    noon: datetime, key: ApiKey, changes: dict[str, Any], told: str
) -> None:
    sound, odd = call_at(noon, key), call_at(noon, key, **changes)
    said = verify(noon)
    assert f"  {odd.pk}: " in said
    assert told in said
    assert str(sound.pk) not in said


def test_a_corrected_call_is_held_to_its_corrected_figures(noon: datetime, key: ApiKey) -> None:
    nothing = dict.fromkeys(USED, 0)
    call = call_at(noon, key, status="interrupted", cost_micro_usd=0, **nothing)
    correct(call, cost_micro_usd=COST, **USED)
    for table in (UsageHour, UsageDay):
        table.objects.filter(key_id=key.pk).update(status="answered", cost_micro_usd=COST, **USED)
    assert verify(noon) == "Nothing is wrong in 1 days.\n"
    correct(call, kind="afterthought")
    assert "no such kind" in verify(noon)


def test_an_adjustment_of_no_call_and_one_of_a_finished_call_are_named(
    noon: datetime, key: ApiKey
) -> None:
    call = call_at(noon, key)
    correct(call)
    assert f"of call {call.pk}: the call was not interrupted" in verify(noon)
    call.id = uuid.UUID(int=call.id.int + 1)
    correct(call)
    assert f"of call {call.pk}: no such call" in verify(noon)


@pytest.mark.parametrize("table", [UsageHour, UsageDay])
def test_usage_that_is_not_the_sum_of_its_parts_is_named(
    noon: datetime, key: ApiKey, table: type[UsageHour | UsageDay]
) -> None:
    call_at(noon, key)
    assert verify(noon) == "Nothing is wrong in 1 days.\n"
    table.objects.filter(key_id=key.pk).update(cost_micro_usd=COST + 5)
    said = verify(noon)
    assert f"key {key.pk}" in said
    assert str(COST + 5) in said
    table.objects.filter(key_id=key.pk).delete()
    assert "nothing" in verify(noon)


def test_usage_of_no_call_is_named(noon: datetime, key: ApiKey) -> None:
    call_at(noon, key)
    for table in (UsageHour, UsageDay):
        row = table.objects.get(key_id=key.pk)
        row.pk, row.status = None, "failed"
        row.save()
    said = verify(noon)
    assert "hours: 1 wrong" in said
    assert "is nothing" in said
    assert "days:" not in said


def test_an_hour_that_waits_to_be_counted_is_left_out(noon: datetime, key: ApiKey) -> None:
    call_at(noon, key)
    UsageHour.objects.filter(key_id=key.pk).update(calls=2)
    UsageDay.objects.filter(key_id=key.pk).update(calls=2)
    note = StaleHour.objects.create(hour=noon)
    assert verify(noon) == "Nothing is wrong in 1 days.\n"
    note.delete()
    assert "hours: 1 wrong" in verify(noon)


def test_a_caller_that_never_was_and_one_of_another_team_are_named(
    noon: datetime, key: ApiKey
) -> None:
    call_at(noon, key, key_id=(stranger := new_id()))
    assert f"key {stranger} team {key.team_id} never existed" in verify(noon)
    call_at(noon, key, team_id=new_key().key.team_id)
    assert f"key {key.pk}" in verify(noon)
    assert "is not the key's team or holder" in verify(noon)


def test_many_wrong_rows_are_counted_and_a_few_of_them_named(noon: datetime, key: ApiKey) -> None:
    for _ in range(8):
        call_at(noon, key, cost_micro_usd=1)
    said = verify(noon)
    assert "cost: 8 wrong" in said
    assert "and 3 more" in said
    assert said.count("its tokens make") == 5
    with pytest.raises(CommandError) as error:
        call_command(
            "verify_ledger", "--from", str(noon.date()), "--to", str(noon.date()), stdout=StringIO()
        )
    assert error.value.returncode == 1


def test_no_date_is_refused() -> None:
    with pytest.raises(CommandError, match="no date"):
        call_command("verify_ledger", "--from", "yesterday")
