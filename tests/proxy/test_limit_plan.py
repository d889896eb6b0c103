"""What is made ready for calls: amounts of each measure, and what replies tell."""

import asyncio
import datetime
import uuid
from typing import Any

import pytest

from models_registry.models import Limit, LimitMeasure, LimitPeriod
from proxy.call import CallKind
from proxy.exchange import Allowance, Usage
from proxy.leases.book import LeaseBook
from proxy.leases.held import Held
from proxy.leases.refusals import LimitReached
from proxy.leases.shares import Wants
from proxy.leases.window import NEVER_ENDS_AT, Measure, Standing, Window
from proxy.limit import Limiter
from proxy.limit_plan import plan_of
from proxy.limit_texts import limit_refusal
from proxy.limit_windows import renewal_of, window_of
from proxy.meter import cost_micro_usd
from proxy.parse import parse_body
from proxy.route import Price
from tests.proxy.principals import a_route

NOW = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
DECEMBER = int(datetime.datetime(2026, 12, 1, tzinfo=datetime.UTC).timestamp())
BEFORE = datetime.datetime(2026, 10, 31, tzinfo=datetime.UTC)
ONE, TWO = uuid.UUID(int=1), uuid.UUID(int=2)


def a_limit(measure: LimitMeasure, period: LimitPeriod, **facts: Any) -> Limit:
    zone = "UTC" if period.startswith("calendar") else ""
    facts = {"team_id": ONE, "zone": zone, "period_set_at": BEFORE} | facts
    return Limit(measure=measure, period=period, amount=7, **facts)


WINDOWS: dict[str, tuple[Limit, tuple[str, int, int]]] = {
    "tokens of an hour": (a_limit(LimitMeasure.TOKENS, LimitPeriod.HOUR), (f"team:{ONE.hex}:tokens", 3600, 0)),
    "money of a month": (
        a_limit(LimitMeasure.MICRO_USD, LimitPeriod.CALENDAR_MONTH),
        (f"team:{ONE.hex}:micro_usd:2026-11", 30 * 86_400, DECEMBER),
    ),
    "money of a month in which it was set": (
        a_limit(LimitMeasure.MICRO_USD, LimitPeriod.CALENDAR_MONTH, period_set_at=NOW),
        (f"team:{ONE.hex}:micro_usd:2026-11:{int(NOW.timestamp() * 1_000_000):x}", 30 * 86_400, DECEMBER),
    ),
    "a fixed sum": (
        a_limit(LimitMeasure.MICRO_USD, LimitPeriod.FIXED_SUM, id=TWO),
        (f"team:{ONE.hex}:micro_usd:{TWO.hex}", 0, NEVER_ENDS_AT),
    ),
    "calls at once": (a_limit(LimitMeasure.CONCURRENT, LimitPeriod.AT_ONCE), (f"team:{ONE.hex}:concurrent", 0, 0)),
    "a member": (
        a_limit(LimitMeasure.REQUESTS, LimitPeriod.SECOND, person_id=TWO),
        (f"member:{ONE.hex}.{TWO.hex}:requests", 1, 0),
    ),
    "a team's use of a model": (
        a_limit(LimitMeasure.OUTPUT_TOKENS, LimitPeriod.DAY, model_id=TWO),
        (f"team_model:{ONE.hex}.{TWO.hex}:output_tokens", 86_400, 0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WINDOWS.values(), ids=WINDOWS)
def test_row_is_counted_in_its_window(case: tuple[Limit, tuple[str, int, int]]) -> None:
    limit, expected = case
    window = window_of(limit, now=NOW)
    assert (window.key, window.length_s, window.ends_at) == expected
    assert (window.limit, window.measure) == (7, limit.measure)


def test_windows_are_renewed_at_the_first_end_of_a_calendars_period() -> None:
    kinds = (
        LimitPeriod.HOUR,
        LimitPeriod.CALENDAR_MONTH,
        LimitPeriod.FIXED_SUM,
        LimitPeriod.CALENDAR_DAY,
    )
    windows = [window_of(a_limit(LimitMeasure.TOKENS, kind), now=NOW) for kind in kinds]
    assert renewal_of(windows) == int(NOW.timestamp()) + 12 * 3600
    assert renewal_of([windows[0], windows[2]]) is None


def a_window(measure: Measure, **facts: Any) -> Window:
    """One of the team, of an hour unless told otherwise."""
    length_s = facts.pop("length_s", 0 if measure is Measure.CONCURRENT else 3600)
    return Window(facts.pop("key", f"team:ab:{measure}"), 1_000_000, length_s, measure, **facts)


class Wanting(LeaseBook):
    """Lends whatever is asked for, and keeps what was asked and what was used of it."""

    def __init__(self) -> None:
        self.wanted: dict[str, int] = {}
        self.used: list[int] = []

    def try_reserve(self, wants: Wants) -> Held | None:
        self.wanted = {window.measure.value: amount for window, amount in wants}
        return Held([], 0.0)

    def settle(self, held: Held, used: tuple[int, ...] | list[int]) -> None:
        self.used = list(used)

    def standing(self, window: Window) -> Standing:
        return Standing(window.limit, 5 if window.measure is Measure.TOKENS else 9, 1.5)


EVERY = tuple(a_window(measure) for measure in Measure)


def reserve(book: Wanting, *, windows: tuple[Window, ...] = EVERY, **route: Any) -> Allowance:
    body = b'{"model":"m","messages":[{"role":"user","content":"hello"}],"max_tokens":100}'
    call = parse_body(CallKind.CHAT, body)
    return asyncio.run(Limiter(book).reserve(plan_of(windows), call, a_route(**route)))


def test_each_measure_is_reserved_at_its_worst_and_settled_to_what_was_used() -> None:
    book = Wanting()
    price = Price(2_000_000, 3_000_000, 8_000_000)
    allowance = reserve(book, price=price)
    prompt = allowance.worst.prompt_tokens
    assert book.wanted == {
        "requests": 1,
        "input_tokens": prompt,
        "output_tokens": 100,
        "tokens": prompt + 100,
        # Cached input costs more here, and all of it may have been cached.
        "micro_usd": prompt * 3 + 800,
        "concurrent": 1,
    }
    usage = Usage(input_tokens=10, cached_tokens=4, output_tokens=5)
    Limiter(book).settle(allowance, usage)
    assert book.used == [1, 10, 5, 15, cost_micro_usd(usage, price), 0]
    Limiter(book).release(allowance)
    assert book.used == [0] * 6


def test_free_model_and_call_without_output_take_nothing_of_what_they_cannot_use() -> None:
    book = Wanting()
    allowance = reserve(book, price=Price(0, 0, 0))
    assert "micro_usd" not in book.wanted
    Limiter(book).settle(allowance, Usage(input_tokens=10, output_tokens=5))
    assert book.used == [1, 10, 5, 15, 0]


def told(windows: tuple[Window, ...], *, beside: tuple[Window, ...] = ()) -> dict[str, str]:
    fields = Limiter(Wanting()).headers(plan_of(windows).beside(plan_of(beside)))
    return {name.decode(): value.decode() for name, value in fields}


def test_reply_tells_each_limit_and_its_rest() -> None:
    windows = (
        a_window(Measure.REQUESTS, key="key:ab:requests", length_s=60),
        a_window(Measure.TOKENS, length_s=30 * 86_400, ends_at=DECEMBER),
        a_window(Measure.MICRO_USD, length_s=0, ends_at=NEVER_ENDS_AT),
        a_window(Measure.CONCURRENT),
    )
    fields = told(windows)
    assert fields["ratelimit-policy"] == (
        '"key-requests-minute";q=1000000;w=60, '
        '"team-tokens-calendar_month";q=1000000;qu="tokens";w=2592000, '
        '"team-micro_usd-fixed_sum";q=1000000;qu="micro-usd", '
        '"team-concurrent-at_once";q=1000000;qu="concurrent-requests"'
    )
    assert fields["ratelimit"] == (
        '"key-requests-minute";r=9;t=2, "team-tokens-calendar_month";r=5;t=2, '
        '"team-micro_usd-fixed_sum";r=9, "team-concurrent-at_once";r=9'
    )
    assert fields["x-ratelimit-remaining-requests"] == "9"
    assert fields["x-ratelimit-remaining-tokens"] == "5"


def test_soft_limits_and_those_of_a_model_for_everybody_are_not_told() -> None:
    hard = a_window(Measure.REQUESTS)
    of_model = a_window(Measure.TOKENS, key="model:ab:tokens")
    fields = told((hard, a_window(Measure.TOKENS, is_soft=True)), beside=(of_model,))
    assert set(fields) == set(told((hard,)))
    assert "tokens" not in fields["ratelimit-policy"]


TEXTS: dict[str, tuple[Window, tuple[int, int | None], str]] = {
    "a minute of the key": (
        a_window(Measure.REQUESTS, key="key:ab:requests", length_s=60),
        (0, 30),
        "This API key may use 1,000,000 calls a minute; 0 are left now.",
    ),
    "the month of the team": (
        a_window(Measure.MICRO_USD, length_s=30 * 86_400, ends_at=DECEMBER),
        (400, 600),
        ("This team may use $1.00 until 2026-12-01T00:00:00Z; $0.0004 are left now. "
        "This call may need up to $0.0005."),
    ),
    "a fixed sum": (
        a_window(Measure.MICRO_USD, length_s=0, ends_at=NEVER_ENDS_AT),
        (0, 10),
        ("may use $1.00 in all; 0 are left now. This call may need up to $0.0005. "
        "This sum does not come back by itself"),
    ),
    "calls at once of a model": (
        a_window(Measure.CONCURRENT, key="model:ab:concurrent"),
        (0, 1),
        "This model, with everybody's calls, may use 1,000,000 calls at once; 0 are left now.",
    ),
    "never": (
        a_window(Measure.TOKENS, key="member:ab.cd:tokens"),
        (3, None),
        ("This person, by all their credentials of this team, may use 1,000,000 tokens an hour; "
        "3 are left now. This call may need up to 500. It can never fit; ask for less output."),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TEXTS.values(), ids=TEXTS)
def test_refusal_says_which_limit_of_whom_what_is_left_and_when_to_come_back(
    case: tuple[Window, tuple[int, int | None], str],
) -> None:
    window, (left, retry_after_s), text = case
    reached = LimitReached(window, limit=window.limit, remaining=left, retry_after_s=retry_after_s)
    refusal = limit_refusal(reached, wanted=500, fields=[(b"ratelimit", b"x")])
    assert text in refusal.seen
    assert "ab" not in refusal.seen.replace("able", "")
    fields = dict(refusal.headers())
    assert fields[b"ratelimit"] == b"x"
    comes_back = retry_after_s is not None and window.ends_at != NEVER_ENDS_AT
    assert (b"retry-after" in fields) == comes_back
