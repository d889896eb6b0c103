"""What Celery does for grants, limits and requests, by the clock."""

from celery import shared_task

from models_registry.due_rotations import rotate_due_keys
from models_registry.ending_grants import tell_of_ending_grants
from models_registry.idle_keys import look_for_idle_keys
from models_registry.limit_alerts import tell_of_limits
from models_registry.writes.request_deadlines import carry_requests_on
from portal.lib.clock import utc_now


@shared_task(ignore_result=True)
def remind_of_grants() -> int:
    """Tell of grants that end soon, each time once; return how many mails that makes."""
    return tell_of_ending_grants()


@shared_task(ignore_result=True)
def alert_of_limits() -> int:
    """Tell of limits that fill up, once for each percentage and period; return how many mails that makes."""
    return tell_of_limits()


@shared_task(ignore_result=True)
def look_for_idle() -> None:
    """Warn of keys that nobody uses, disable those that were warned of, and revoke those that stay disabled."""
    look_for_idle_keys(now=utc_now())


@shared_task(ignore_result=True)
def carry_on_requests() -> int:
    """Remind of requests that wait, and do what policies say of late ones; return how many requests that touched."""
    return carry_requests_on(now=utc_now())


@shared_task(ignore_result=True)
def rotate_due() -> int:
    """Rotate the keys whose secrets have come of age; return how many."""
    return rotate_due_keys(now=utc_now())
