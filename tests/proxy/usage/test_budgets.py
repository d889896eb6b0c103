"""Double entry of budgets: what dead processes took is booked once, and whatever does not add up is found."""

import asyncio
import datetime
from io import StringIO

import msgspec
import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import Error, transaction

from accounts.models import ApiKey
from models_registry.models import Limit, LimitMeasure, LimitPeriod
from portal.lib.clock import utc_now
from portal.lib.ids import new_id
from proxy.closed_periods import open_written, reopen_periods
from proxy.leases.accounts import Account, read_accounts
from proxy.leases.book import LeaseBook
from proxy.leases.ending import end_task
from proxy.leases.request import PROCESSES_KEY, STATE_KEY
from proxy.ledger_use import booked_of
from proxy.limit_windows import window_of
from proxy.models import UnattributedUse
from proxy.usage import budget_verification
from proxy.usage.budget_verification import (
    accounts_balance,
    budgets_are_those_of_the_ledger,
    unattributed_use_had_lapsed,
)
from proxy.usage.span import Span
from proxy.usage.unattributed import book_unattributed, unattributed_in
from tests.accounts.rows import new_key
from tests.models_registry.rows import new_limit
from tests.proxy.leases.endings import age_epoch, wait_for_reports
from tests.proxy.ledger_rows import call_with

pytestmark = pytest.mark.django_db


class Budget:
    """A budget of a team for an hour now, of which a process uses 60, holds 50, and dies."""

    def __init__(self, store_url: str, key: ApiKey, *, silent_s: int) -> None:
        self.key, self._url = key, store_url
        self.client = redis.Redis.from_url(store_url)
        limit = new_limit(LimitMeasure.MICRO_USD, LimitPeriod.FIXED_SUM, 1000, team=key.team)
        Limit.objects.filter(pk=limit.pk).update(created_at=utc_now() - datetime.timedelta(hours=1))
        self.limit = Limit.objects.get(pk=limit.pk)
        # The store may be a new one, which lends no budget yet.
        open_written([self.limit])
        age_epoch(self.client)
        open_written([self.limit])
        self.window = window_of(self.limit, now=utc_now())
        asyncio.run(self._use_and_die(silent_s))
        call_with(key, cost_micro_usd=60)

    @property
    def account(self) -> Account:
        return read_accounts(self._url, [self.window])[0]

    async def _use_and_die(self, silent_s: int) -> None:
        book = LeaseBook(self._url, process_id="dying", call_timeout_s=5.0)
        await book.start()
        book.settle(await book.reserve([(self.window, 100)]), [60])
        await wait_for_reports(book)
        await book.reserve([(self.window, 50)])
        for task in book._borrower._tasks:
            await end_task(task)
        # It says nothing more.
        book._store.is_away = True
        await book.stop()
        self.client.hincrby(PROCESSES_KEY, book._borrower._process, -silent_s * 1_000_000)


@pytest.fixture
def budget(limits_url: str, monkeypatch: pytest.MonkeyPatch) -> Budget:
    monkeypatch.setattr(budget_verification, "_TRY_AGAIN_S", 0.01)
    made = Budget(limits_url, new_key().key, silent_s=90)
    # The store was awake for as long as the process was silent.
    made.client.hincrby(STATE_KEY, "woke_us", -120_000_000)
    return made


def verified() -> str:
    said = StringIO()
    try:
        call_command("verify_ledger", "--from", "1990-01-01", "--to", "1990-01-01", stdout=said)
    except CommandError as error:
        said.write(str(error))
    return said.getvalue()


def test_what_a_dead_process_took_is_booked_once_and_taken_back_as_it_is_explained(
    budget: Budget,
) -> None:
    orphaned = budget.account.orphaned
    assert orphaned >= 50
    for corrected in (1, 0):
        assert book_unattributed(shipped_within_s=0) == corrected
        assert booked_of(budget.window) == orphaned
    today = utc_now().date()
    for teams, amounts in (([budget.key.team_id], 1), ([new_id()], 0)):
        assert len(unattributed_in(teams, Span(today, today))) == amounts
    # Its journal comes after all.
    call_with(budget.key, cost_micro_usd=20)
    for corrected in (1, 0):
        assert book_unattributed(shipped_within_s=0) == corrected
        assert booked_of(budget.window) == orphaned - 20
    assert [row.amount for row in UnattributedUse.objects.order_by("id")] == [orphaned, -20]
    assert verified().startswith("Nothing is wrong")


def test_what_a_dead_process_took_still_counts_in_a_store_that_lost_it(budget: Budget) -> None:
    orphaned = budget.account.orphaned
    book_unattributed(shipped_within_s=0)
    budget.client.flushdb()
    open_written([budget.limit])
    age_epoch(budget.client)
    assert reopen_periods()
    account = budget.account
    assert (account.used, account.unended, account.orphaned) == (60 + orphaned, orphaned, 0)
    assert verified().startswith("Nothing is wrong")
    # Its journal comes after all.
    call_with(budget.key, cost_micro_usd=20)
    assert verified().startswith("Nothing is wrong")


def test_soft_budget_that_is_used_before_its_figures_come_is_no_fault_of_the_ledger(
    budget: Budget, limits_url: str
) -> None:
    Limit.objects.update(is_soft=True, alert_percents=[80])
    window = msgspec.structs.replace(budget.window, is_soft=True)
    budget.client.flushdb()

    async def use() -> None:
        book = LeaseBook(limits_url, process_id="early", call_timeout_s=5.0)
        await book.start()
        book.settle(await book.reserve([(window, 100)]), [100])
        await book.stop()

    asyncio.run(use())
    call_with(budget.key, cost_micro_usd=100)
    age_epoch(budget.client)
    assert reopen_periods()
    assert budget.account.used >= 160
    assert verified().startswith("Nothing is wrong")


def test_journal_that_may_be_on_its_way_is_waited_for(budget: Budget) -> None:
    (process,) = (name for name in budget.client.hkeys(PROCESSES_KEY) if "dying" in str(name))
    budget.client.hincrby(PROCESSES_KEY, process, 60_000_000)
    assert budget.account.orphaned == budget.account.lately_orphaned >= 50
    assert book_unattributed(shipped_within_s=0) == 0
    assert not UnattributedUse.objects.exists()


def test_what_was_booked_is_never_changed(budget: Budget) -> None:
    book_unattributed(shipped_within_s=0)
    for change in (
        UnattributedUse.objects.all().delete,
        lambda: UnattributedUse.objects.update(amount=0),
    ):
        with pytest.raises(Error, match=r"append-only|permission denied"), transaction.atomic():
            change()


@pytest.mark.parametrize("account", ["lent", "settled", "returned", "wrong"])
def test_account_that_does_not_balance_is_found(budget: Budget, account: str) -> None:
    assert accounts_balance() is None
    budget.client.hincrby(budget.window.store_name, f"a{account}", 7)
    found = accounts_balance()
    assert found is not None
    assert (found.check, found.count) == ("reservations", 1)
    assert "1 things are wrong" in verified()


def test_budget_that_the_store_counts_otherwise_than_the_ledger_is_found(budget: Budget) -> None:
    assert budgets_are_those_of_the_ledger() is None
    call_with(budget.key, cost_micro_usd=500)
    assert budgets_are_those_of_the_ledger() is not None, "The ledger knows of more."
    budget.client.hincrby(budget.window.store_name, "u", 1000)
    assert budgets_are_those_of_the_ledger() is not None, "The store knows of more."


@pytest.mark.parametrize("amount", [-1, 10_000])
def test_more_unattributed_use_than_had_lapsed_is_found(budget: Budget, amount: int) -> None:
    book_unattributed(shipped_within_s=0)
    assert unattributed_use_had_lapsed() is None
    UnattributedUse.objects.create(
        at=utc_now(),
        limit_id=budget.limit.pk,
        count=budget.window.store_name,
        measure="micro_usd",
        amount=amount - booked_of(budget.window),
    )
    assert unattributed_use_had_lapsed() is not None
