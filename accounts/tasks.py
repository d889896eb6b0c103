from celery import shared_task
from django.db import connection

KEEP_CHANGES_MINUTES = 60


@shared_task
def forget_changes() -> int:
    """Drop changes that every gateway has seen or will start afresh without. Returns how many went.

    A gateway cut off for longer than this drops its whole cache when it comes back, so it misses nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM accounts_change WHERE at < now() - make_interval(mins => %s)",
            [KEEP_CHANGES_MINUTES],
        )
        return int(cursor.rowcount)
