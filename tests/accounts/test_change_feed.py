"""What the feed reports is never less than what changed, however transactions and connections behave."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Callable

import psycopg
import pytest
from psycopg import conninfo

from accounts import change_feed
from accounts.change_feed import EVERYTHING, ChangeFeed, Changes
from tests.accounts.rows import new_name
from tests.accounts.stallable_proxy import StallableProxy, stallable_proxy

pytestmark = pytest.mark.time_limit_s(30)

ADD_TEAM = (
    "INSERT INTO accounts_team (id, name, slug, cost_centre, created_at, requires_second_factor, networks)"
    " VALUES (%s, %s, %s, '', now(), false, '{}')"
)


class Heard:
    """What a feed reported, each report with its moment."""

    def __init__(self) -> None:
        self.reports: list[Changes] = []

    def __call__(self, changes: Changes) -> None:
        self.reports.append(changes)

    def ids(self) -> set[uuid.UUID]:
        return {one for report in self.reports for one in report.ids}


@contextlib.asynccontextmanager
async def following(url: str) -> AsyncIterator[tuple[ChangeFeed, Heard]]:
    heard = Heard()
    feed = ChangeFeed(url, on_changes=heard)
    await feed.start()
    try:
        await until(lambda: bool(heard.reports))
        yield feed, heard
    finally:
        await feed.stop()


async def until(condition: Callable[[], bool], *, within_s: float = 5.0) -> float:
    """Wait for the condition; return the seconds it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < within_s, "It did not come true in time."
        await asyncio.sleep(0.005)
    return time.monotonic() - started


async def add_team(connection: psycopg.AsyncConnection) -> uuid.UUID:
    team_id = uuid.uuid4()
    await connection.execute(ADD_TEAM, [team_id, new_name("feed"), new_name("feed")])
    return team_id


@pytest.fixture
async def writer(
    database_url: str, django_db_setup: None
) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def early(database_url: str, django_db_setup: None) -> AsyncIterator[psycopg.AsyncConnection]:
    """A second writer, whose transaction begins before others' and ends after them."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        yield connection
        await connection.rollback()


async def test_new_connection_begins_with_everything(database_url: str) -> None:
    async with following(database_url) as (feed, heard):
        assert heard.reports[0] == EVERYTHING
        assert feed.age_s < 1


async def test_change_is_heard_well_within_a_second(
    database_url: str, writer: psycopg.AsyncConnection
) -> None:
    async with following(database_url) as (_, heard):
        for _ in range(5):
            team_id = await add_team(writer)
            await until(lambda one=team_id: one in heard.ids(), within_s=0.9)  # type: ignore[misc]


async def test_change_is_heard_without_a_notification(database_url: str, migrator_url: str) -> None:
    async with following(database_url) as (_, heard):
        silent_id = uuid.uuid4()
        async with await psycopg.AsyncConnection.connect(migrator_url, autocommit=True) as owner:
            await owner.execute(
                "INSERT INTO accounts_change (topic, ref) VALUES ('team', %s)", [silent_id]
            )
        await until(lambda: silent_id in heard.ids(), within_s=0.9)


async def test_change_is_reported_once(database_url: str, writer: psycopg.AsyncConnection) -> None:
    async with following(database_url) as (_, heard):
        team_id = await add_team(writer)
        await until(lambda: team_id in heard.ids())
        await asyncio.sleep(0.7)
        assert sum(team_id in report.ids for report in heard.reports) == 1


async def test_transaction_that_began_early_and_commits_late_is_heard(
    database_url: str, writer: psycopg.AsyncConnection, early: psycopg.AsyncConnection
) -> None:
    async with following(database_url) as (_, heard):
        late_id = await add_team(early)
        young_ids = set()
        for _ in range(5):
            young_ids.add(await add_team(writer))
            await asyncio.sleep(0.1)
        await until(lambda: young_ids <= heard.ids())
        assert late_id not in heard.ids()
        await early.commit()
        await until(lambda: late_id in heard.ids(), within_s=0.9)
        for one in {late_id, *young_ids}:
            assert sum(one in report.ids for report in heard.reports) == 1


async def test_transaction_begun_before_the_feed_and_committed_after_is_heard(
    database_url: str, early: psycopg.AsyncConnection, writer: psycopg.AsyncConnection
) -> None:
    late_id = await add_team(early)
    await add_team(writer)
    async with following(database_url) as (_, heard):
        await asyncio.sleep(0.3)
        await early.commit()
        await until(lambda: late_id in heard.ids(), within_s=0.9)


async def test_many_writers_at_once_lose_nothing(database_url: str) -> None:
    written: set[uuid.UUID] = set()

    async def write(pause_s: float) -> None:
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            for _ in range(10):
                team_id = await add_team(connection)
                await asyncio.sleep(pause_s)
                await connection.commit()
                written.add(team_id)

    async with following(database_url) as (_, heard):
        await asyncio.gather(*(write(0.01 * number) for number in range(6)))
        await until(lambda: written <= heard.ids(), within_s=2)


async def test_rolled_back_change_is_not_reported(
    database_url: str, early: psycopg.AsyncConnection
) -> None:
    async with following(database_url) as (_, heard):
        never_id = await add_team(early)
        await early.rollback()
        seen_id = await add_team(early)
        await early.commit()
        await until(lambda: seen_id in heard.ids())
        assert never_id not in heard.ids()


@contextlib.asynccontextmanager
async def through_proxy(url: str) -> AsyncIterator[tuple[StallableProxy, str]]:
    parts = conninfo.conninfo_to_dict(url)
    if not str(parts["host"]).startswith("/"):
        pytest.skip("The proxy forwards to a socket file; this server is reached over TCP.")
    socket_path = f"{parts['host']}/.s.PGSQL.{parts.get('port') or 5432}"
    async with stallable_proxy(socket_path) as (proxy, port):
        yield proxy, conninfo.make_conninfo(url, host="127.0.0.1", port=port, sslmode="disable")


async def test_stalled_connection_is_left_within_a_second_and_read_on_where_it_stopped(
    database_url: str, writer: psycopg.AsyncConnection, early: psycopg.AsyncConnection
) -> None:
    async with through_proxy(database_url) as (proxy, url), following(url) as (feed, heard):
        for _ in range(3):
            late_id = await add_team(early)
            proxy.stall()
            team_id = await add_team(writer)
            await until(lambda one=team_id: one in heard.ids(), within_s=1.0)  # type: ignore[misc]
            assert feed.age_s < 1
            await early.commit()
            await until(lambda one=late_id: one in heard.ids(), within_s=0.9)  # type: ignore[misc]
        assert heard.reports.count(EVERYTHING) == 1
        assert sum(len(report.ids) for report in heard.reports) == len(heard.ids())


async def test_feed_says_its_age_while_nothing_can_be_reached(
    database_url: str, writer: psycopg.AsyncConnection
) -> None:
    async with through_proxy(database_url) as (proxy, url), following(url) as (feed, heard):
        proxy.holds_new_ones = True
        proxy.stall()
        await until(lambda: feed.age_s > 1.5, within_s=3)
        team_id = await add_team(writer)
        proxy.release()
        await until(lambda: feed.age_s < 0.5, within_s=3)
        assert team_id in heard.ids()


async def test_cut_connection_is_made_again_and_what_it_missed_is_heard(
    database_url: str, writer: psycopg.AsyncConnection
) -> None:
    async with through_proxy(database_url) as (proxy, url), following(url) as (_, heard):
        proxy.cut()
        team_id = await add_team(writer)
        await until(lambda: team_id in heard.ids(), within_s=0.9)
        assert heard.reports.count(EVERYTHING) == 1


async def test_feed_that_was_away_for_long_begins_with_everything(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with through_proxy(database_url) as (proxy, url), following(url) as (_, heard):
        monkeypatch.setattr(change_feed, "RESUME_S", 0.0)
        proxy.cut()
        await until(lambda: heard.reports.count(EVERYTHING) == 2, within_s=1.5)


@pytest.mark.parametrize(
    "part",
    [
        "(SELECT system_identifier FROM pg_control_system())",
        "left(pg_walfile_name(pg_current_wal_lsn()), 8)",
        "pg_postmaster_start_time()",
        "oid",
    ],
)
async def test_another_server_or_another_run_of_it_begins_with_everything(
    database_url: str, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Each part of the server's name alone says that the log is not the one that was read."""
    asked = change_feed._SERVER
    assert part in asked
    async with through_proxy(database_url) as (proxy, url), following(url) as (_, heard):
        for number in (2, 3):
            monkeypatch.setattr(change_feed, "_SERVER", asked.replace(part, f"'{number}'"))
            proxy.cut()
            await until(lambda seen=number: heard.reports.count(EVERYTHING) == seen, within_s=1.5)  # type: ignore[misc]
        # Unchanged, it is the same server.
        proxy.cut()
        await until(lambda: proxy.connections >= 4, within_s=1.5)
        await asyncio.sleep(0.3)
        assert heard.reports.count(EVERYTHING) == 3


async def test_server_that_does_not_say_who_it_is_is_followed_all_the_same(
    database_url: str, monkeypatch: pytest.MonkeyPatch, writer: psycopg.AsyncConnection
) -> None:
    monkeypatch.setattr(change_feed, "_SERVER", "SELECT pg_reload_conf()")
    async with through_proxy(database_url) as (proxy, url), following(url) as (_, heard):
        proxy.cut()
        await until(lambda: heard.reports.count(EVERYTHING) == 2, within_s=1.5)
        team_id = await add_team(writer)
        await until(lambda: team_id in heard.ids(), within_s=0.9)


async def test_feed_outlives_a_listener_that_fails_and_then_reports_everything(
    database_url: str, writer: psycopg.AsyncConnection
) -> None:
    """What was read and could not be acted on must not be taken for read."""
    async with following(database_url) as (feed, heard):

        def fail(changes: Changes) -> None:
            feed.on_changes = heard
            raise RuntimeError("the listener failed")

        feed.on_changes = fail
        await add_team(writer)
        await until(lambda: heard.reports.count(EVERYTHING) == 2, within_s=1.5)
        team_id = await add_team(writer)
        await until(lambda: team_id in heard.ids(), within_s=0.9)


async def test_backend_ended_by_the_server_is_replaced(
    database_url: str, writer: psycopg.AsyncConnection
) -> None:
    async with following(database_url) as (_, heard):
        await writer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE '%pg_snapshot_xmin%' AND pid <> pg_backend_pid()"
            " AND datname = current_database()"
        )
        team_id = await add_team(writer)
        await until(lambda: team_id in heard.ids(), within_s=1.5)


async def test_stopping_is_prompt_while_the_connection_is_stalled(database_url: str) -> None:
    async with through_proxy(database_url) as (proxy, url):
        feed = ChangeFeed(url, on_changes=lambda _: None)
        await feed.start()
        await until(lambda: feed.age_s < 1)
        proxy.holds_new_ones = True
        proxy.stall()
        await asyncio.sleep(0.25)
        started = time.monotonic()
        await feed.stop()
        assert time.monotonic() - started < 2
