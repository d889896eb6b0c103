"""The Celery application: `celery -A portal.celery worker -B`."""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_init
from django.core.exceptions import ImproperlyConfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("latchkey")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
@beat_init.connect
def hold_to_checks(**kwargs: Any) -> None:
    """Celery runs Django's checks and goes on whatever they find; ours end it."""
    from portal.checks import refuse_to_boot  # noqa: PLC0415 - Django is set up only now.

    try:
        refuse_to_boot()
    except ImproperlyConfigured as fault:
        # Celery logs what a receiver raises and goes on, unless it is this.
        raise SystemExit(f"ImproperlyConfigured: {fault}") from None
