from celery import shared_task


# Longer than a run and its last delivery take, and shorter than a delivery is claimed for.
@shared_task(ignore_result=True, soft_time_limit=60, time_limit=75)
def deliver_webhooks() -> int:
    """Deliver what is due; return how much was. Any number of runs at once share the work."""
    # Imported here: the write that wakes this task is asked for by what delivers.
    from accounts.webhooks.send import deliver_due  # noqa: PLC0415

    return deliver_due()
