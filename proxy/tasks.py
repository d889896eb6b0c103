"""What Celery does for calls, by the clock."""

from celery import shared_task
from django.db import connection

from proxy.usage.rollup import count_stale_hours

MONTHS_AHEAD = 3
# What one run counts at most; a backlog is worked off by the next runs.
HOURS_A_RUN = 200


@shared_task(ignore_result=True)
def make_partitions() -> int:
    """Make the ledger's partitions for the months to come; return how many were missing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT latchkey_make_partitions(%s)", [MONTHS_AHEAD])
        row = cursor.fetchone()
    return int(row[0]) if row else 0


@shared_task(ignore_result=True)
def count_usage() -> int:
    """Count the usage of the hours that rows came for; return how many hours were counted."""
    return count_stale_hours(HOURS_A_RUN)
