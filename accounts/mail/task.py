from celery import shared_task

from accounts.mail.send import send_due


@shared_task(ignore_result=True)
def send_due_mail() -> int:
    """Send the mail that is due; return how many were sent. Any number of runs at once send each mail once."""
    return send_due()
