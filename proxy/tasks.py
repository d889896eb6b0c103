"""What Celery does for calls, by the clock."""

import logging

from celery import shared_task
from django.conf import settings
from django.db import connection

from proxy.closed_periods import catch_up, reopen_periods
from proxy.usage.rollup import count_stale_hours
from proxy.usage.unattributed import book_unattributed

_log = logging.getLogger("latchkey.ledger")
MONTHS_AHEAD = 3
# What one run counts at most; a backlog is worked off by the next runs.
HOURS_A_RUN = 200
# The most that the database's function takes.
KEEP_MONTHS_MAX = 1200


@shared_task(ignore_result=True)
def make_partitions() -> int:
    """Make the ledger's partitions for the months to come; return how many were missing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT latchkey_make_partitions(%s)", [MONTHS_AHEAD])
        row = cursor.fetchone()
    return int(row[0]) if row else 0


@shared_task(ignore_result=True)
def drop_partitions() -> int:
    """Drop the months of calls that are older than the setting keeps; return how many were dropped.

    When the ledger is too busy to let go within two seconds, it fails, and the next run tries again.
    """
    keep_months = settings.LATCHKEY_LEDGER_KEEP_MONTHS
    if not keep_months:
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT latchkey_drop_partitions(%s)", [min(keep_months, KEEP_MONTHS_MAX)])
        row = cursor.fetchone()
    dropped = int(row[0]) if row else 0
    if dropped:
        _log.info("Months of calls were dropped for their age.", extra={"months": dropped})
    return dropped


@shared_task(ignore_result=True)
def count_usage() -> int:
    """Count the usage of the hours that rows came for; return how many hours were counted."""
    return count_stale_hours(HOURS_A_RUN)


@shared_task(ignore_result=True)
def book_unattributed_use() -> int:
    """Book what dead processes had taken of budgets and no call explains; return how many budgets were corrected."""
    return book_unattributed()


@shared_task(ignore_result=True)
def open_closed_periods() -> bool:
    """Give the limits store the ledger's figures of periods that wait for them, or were set lately.

    Soft ones have nobody else who asks.
    """
    catch_up()
    return reopen_periods()
