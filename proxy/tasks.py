"""What Celery does for calls, by the clock."""

from celery import shared_task
from django.db import connection

MONTHS_AHEAD = 3


@shared_task(ignore_result=True)
def make_partitions() -> int:
    """Make the ledger's partitions for the months to come; return how many were missing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT latchkey_make_partitions(%s)", [MONTHS_AHEAD])
        row = cursor.fetchone()
    return int(row[0]) if row else 0
