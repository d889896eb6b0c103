"""The broker, which wakes a worker after a commit, there and away."""

from accounts.models import Notification
from accounts.models.notifications import NotificationState
from portal.celery import app
from tests.accounts.mail.outbox import waiting
from tests.child import run_python


def test_commit_wakes_a_worker(committed: None, broker_url: str) -> None:
    app.control.purge()
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue("celery")
        waiting()
        message = queue.get(timeout=5)
        message.ack()
        queue.close()
    assert message.headers["task"] == "accounts.mail.task.send_due_mail"


WRITE_WITHOUT_BROKER = """
import time
import django; django.setup()
from portal.celery import app
from tests.accounts.mail.outbox import waiting
began = time.monotonic()
print(waiting().pk, time.monotonic() - began < 5)
"""


def test_write_stands_where_the_broker_is_away(committed: None) -> None:
    changes = {"LATCHKEY_BROKER_URL": "redis://127.0.0.1:9/0", "LATCHKEY_LOG_LEVEL": "ERROR"}
    ended = run_python("-c", WRITE_WITHOUT_BROKER, changes=changes)
    number, was_quick = ended.stdout.split()
    assert Notification.objects.get(pk=number).state == NotificationState.WAITING
    assert was_quick == "True"
