"""What Celery does for grants, by the clock."""

from celery import shared_task

from models_registry.ending_grants import tell_of_ending_grants


@shared_task(ignore_result=True)
def remind_of_grants() -> int:
    """Tell of grants that end soon, each time once; return how many mails that makes."""
    return tell_of_ending_grants()
