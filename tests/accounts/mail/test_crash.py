"""Real processes: one killed while it sends, and two that send at once."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping

from accounts.audit import COMMAND
from accounts.mail.send import send_due
from accounts.models.notifications import NotificationState
from accounts.writes.notifications import send_again
from tests.accounts.mail.outbox import clear_outbox, let_pass_since_handed_over, waiting
from tests.services import ROOT
from tests.smtp_server import Fault, SmtpServer

RUN_TASK = """
import django; django.setup()
from accounts.tasks import send_due_mail
print("ready", flush=True); input()
print(send_due_mail())
"""


def start_worker(server: SmtpServer) -> "subprocess.Popen[str]":
    """A process that runs the task as soon as it reads a line."""
    settings: Mapping[str, str] = {
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "LATCHKEY_EMAIL_URL": f"smtp://127.0.0.1:{server.port}?tls=none",
        "LATCHKEY_EMAIL_FROM": "latchkey@models.test",
    }
    worker = subprocess.Popen(
        [sys.executable, "-c", RUN_TASK],
        cwd=ROOT,
        env=os.environ | settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    return worker


def go(worker: "subprocess.Popen[str]") -> None:
    assert worker.stdin is not None
    worker.stdin.write("\n")
    worker.stdin.flush()


def test_mail_of_a_killed_process_is_never_sent_by_itself_again(
    committed: None, mail_server: SmtpServer
) -> None:
    clear_outbox()
    notification = waiting()
    mail_server.fault = Fault.SILENT_AFTER_DATA
    with start_worker(mail_server) as worker:
        go(worker)
        assert mail_server.began.wait(20)
        worker.send_signal(signal.SIGKILL)
    mail_server.fault = Fault.NONE
    send_due()
    notification.refresh_from_db()
    assert notification.state == NotificationState.HANDED_OVER
    let_pass_since_handed_over(notification, 11)
    send_due()
    send_due()
    notification.refresh_from_db()
    assert notification.state == NotificationState.UNCERTAIN
    assert len(mail_server.taken_by(notification.email)) == 1
    send_again(notification, actor=COMMAND)
    send_due()
    assert len(mail_server.taken_by(notification.email)) == 2
    notification.refresh_from_db()
    assert notification.state == NotificationState.SENT


def test_two_workers_at_once_send_each_mail_once(committed: None, mail_server: SmtpServer) -> None:
    clear_outbox()
    notifications = [waiting() for _ in range(40)]
    with start_worker(mail_server) as one, start_worker(mail_server) as other:
        for worker in (one, other):
            go(worker)
        counts = [int(worker.communicate(timeout=40)[0]) for worker in (one, other)]
    assert sum(counts) == len(notifications)
    assert all(counts)
    taken = Counter(mail.recipient for mail in mail_server.taken)
    assert taken == Counter(notification.email for notification in notifications)
