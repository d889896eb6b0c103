"""The log of calls reads no more of the ledger than it shows, and usage answers from the roll-up in time."""

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import psycopg
import pytest
from django.db.models import QuerySet

from accounts.models import ApiKey, Team
from proxy.access import Sight
from proxy.call import CallStatus
from proxy.models import Call
from proxy.usage.call_log import Asked, newest_calls_query
from proxy.usage.span import days_until, month_of
from proxy.usage.summary import _BY_DAY, _DEAREST_KEYS, _SIDES, _parameters
from tests.proxy.test_ledger_schema import Connection

PERSON, OTHER, RARE = (uuid.UUID(int=number) for number in (1, 2, 3))
TEAMS = [uuid.UUID(int=100 + number) for number in range(20)]
KEYS = [uuid.UUID(int=1000 + number) for number in range(200)]
TODAY = datetime.now(tz=UTC).date()
ROWS, LIMIT = 200_000, 51
# One call each few seconds of this month, from many teams and keys; a key has one team and one holder.
VARIED = {
    "id": "(lpad(to_hex(%(first)s + number * %(step)s), 12, '0') || '7000' || lpad(to_hex(number), 16, '8'))::uuid",
    "team_id": "CASE WHEN number %% 50000 = 0 THEN %(rare)s ELSE (%(teams)s)[1 + number %% 20] END",
    "key_id": "(%(keys)s)[1 + number %% 200]",
    "person_id": "CASE number %% 2 WHEN 0 THEN %(person)s ELSE %(other)s END",
    "status": "CASE number %% 1000 WHEN 0 THEN 'failed' ELSE 'answered' END",
    "admitted_at": "now()",
}
USAGE = """
INSERT INTO proxy_usageday (day, team_id, key_id, person_id, model_id, status, calls, input_tokens, cached_tokens,
    output_tokens, reasoning_tokens, cost_micro_usd, duration_us)
SELECT %(first)s + day, (%(teams)s)[1 + (key - 1) %% 20], (%(keys)s)[key], %(person)s, %(model)s, 'answered',
    10, 1000, 0, 500, 0, key, 10000
FROM generate_series(0, 399) AS day, generate_series(1, 200) AS key
"""


@pytest.fixture
def owner(django_db_setup: None, migrator_url: str) -> Iterator[Connection]:
    """A connection of the owner, who alone may analyse tables; its changes are taken back."""
    with psycopg.connect(migrator_url, cursor_factory=psycopg.ClientCursor) as connection:
        yield connection
        connection.rollback()


def fill(ledger: Connection) -> None:
    """Give the ledger 200,000 calls of this month."""
    blanks = {
        "TextField": "''",
        "BooleanField": "false",
        "BigIntegerField": "0",
        "UUIDField": "NULL::uuid",
    }
    values = {
        field.attname: VARIED.get(field.attname, blanks.get(field.get_internal_type(), "NULL"))
        for field in Call._meta.concrete_fields
    }
    insert = (
        f"INSERT INTO proxy_call ({', '.join(values)}) "  # noqa: S608 - constants of this file.
        f"SELECT {', '.join(values.values())} FROM generate_series(1::bigint, %(rows)s) AS number"
    )
    first_ms, end_ms = (bound.int >> 80 for bound in month_of(TODAY).ids)
    facts = {
        "first": first_ms,
        "step": (end_ms - first_ms) // (ROWS + 1),
        "rows": ROWS,
        "rare": RARE,
    }
    facts |= {"teams": TEAMS, "keys": KEYS, "person": PERSON, "other": OTHER}
    ledger.execute(insert.encode(), facts)
    ledger.execute("ANALYZE proxy_call")


def keys_of(team: uuid.UUID) -> list[ApiKey]:
    held = [key for number, key in enumerate(KEYS) if TEAMS[number % 20] == team]
    return [ApiKey(pk=key, team=Team(pk=team)) for key in held]


WHOLE = Sight(PERSON, (TEAMS[0],), ())
SMALL = Sight(PERSON, (RARE,), ())
SEVERAL = Sight(PERSON, tuple(TEAMS[:5]), (TEAMS[6],))
OWN = Sight(PERSON, (), (TEAMS[6],))
LOW, HIGH = month_of(TODAY).ids
MIDDLE = uuid.UUID(int=(LOW.int + HIGH.int) // 2)
# What is asked, and how many rows may be read for it. A twentieth of all calls are a team's, and a team has ten keys.
QUESTIONS: list[tuple[Sight, dict[str, Any], int]] = [
    (WHOLE, {}, 21 * LIMIT),
    (WHOLE, {"before": MIDDLE}, 21 * LIMIT),
    (SMALL, {}, LIMIT),
    (SEVERAL, {}, 15 * 21 * LIMIT),
    (OWN, {}, 10 * 21 * LIMIT),
    (WHOLE, {"key_id": KEYS[0]}, ROWS // 200),
    # A rare status is looked for among all calls of the team.
    (WHOLE, {"status": CallStatus.FAILED}, ROWS // 20),
]


@pytest.mark.time_limit_s(120)
def test_the_log_of_calls_scans_no_partition(owner: Connection) -> None:
    # What other tests have committed is read as well, wherever it stands among the rows of this one.
    ((others,),) = owner.execute("SELECT count(*) FROM proxy_call").fetchall()
    assert isinstance(others, int)
    fill(owner)
    for sight, facts, rows_max in QUESTIONS:
        asked = Asked(month_of(TODAY), **facts)
        query = newest_calls_query(sight, asked, limit=LIMIT, keys=keys_of(TEAMS[6]))
        assert query is not None
        scans = scans_of(owner, query)
        # No partition is scanned whole, and none is looked at but this month's, not even the default one.
        assert {scan["Node Type"] for scan in scans} <= {"Index Scan", "Bitmap Heap Scan"}, facts
        assert {scan["Relation Name"] for scan in scans} == {f"proxy_call_y{TODAY:%Ym%m}"}
        read = sum((scan["Actual Rows"] + removed(scan)) * scan["Actual Loops"] for scan in scans)
        assert 0 < read <= rows_max + others, facts


def scans_of(ledger: Connection, query: "QuerySet[Call]") -> list[dict[str, Any]]:
    """Run the query and return what was read of the ledger, as PostgreSQL tells it."""
    text, values = query.query.sql_with_params()
    explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {text}"
    [[plan]] = cast("list[tuple[Any]]", ledger.execute(explain.encode(), values).fetchall())
    nodes = walk(plan[0]["Plan"])
    return [node for node in nodes if node.get("Relation Name", "").startswith("proxy_call")]


def removed(node: dict[str, Any]) -> int:
    return int(node.get("Rows Removed by Filter", 0))


def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from walk(below)


def test_usage_of_four_hundred_days_is_summed_up_within_a_second(owner: Connection) -> None:
    span = days_until(TODAY, 400)
    values = {"first": span.first, "teams": TEAMS, "keys": KEYS, "person": PERSON}
    owner.execute(USAGE, values | {"model": uuid.UUID(int=7)})
    owner.execute("ANALYZE proxy_usageday")
    for sight, keys in ((WHOLE, 10), (SEVERAL, 60)):
        started = time.monotonic()
        parameters = _parameters(sight, span) | {"keys_max": 50}
        sides = owner.execute(_SIDES.encode(), parameters).fetchall()
        dearest = owner.execute(_DEAREST_KEYS.encode(), parameters).fetchall()
        assert time.monotonic() - started < 1.0
        days = [row[6] for row in sides if row[0] == _BY_DAY]
        assert days == [keys * 10] * 400
        assert [row[1] for row in dearest] == [keys] * min(keys, 50)
        costs = [cast("int", row[9]) for row in dearest]
        assert costs == sorted(costs, reverse=True)
