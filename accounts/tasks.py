"""What Celery does for people and their keys, by the clock and after commits."""

from celery import shared_task
from django.db import connection

from accounts.ending_keys import tell_of_ending_keys
from accounts.leaks.github import fetch_keys
from accounts.mail.digest import make_digests
from accounts.mail.task import send_due_mail
from accounts.models import IdempotentReply
from accounts.models.idempotency import REPLY_KEPT
from accounts.oauth.signing_keys import rotate_signing_keys
from accounts.oauth.writes import forget_oauth
from accounts.webhooks.task import deliver_webhooks
from accounts.workload.refresh import due_issuers, fetch_again
from portal.lib.clock import utc_now

__all__ = [
    "deliver_webhooks",
    "fetch_github_keys",
    "fetch_issuer_keys",
    "forget_changes",
    "forget_replies",
    "forget_tokens",
    "gather_digests",
    "remind_of_keys",
    "rotate_keys",
    "send_due_mail",
]
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


@shared_task
def forget_replies() -> int:
    """Drop replies that are no longer given again. Returns how many went."""
    ended = IdempotentReply.objects.filter(created_at__lte=utc_now() - REPLY_KEPT)
    return ended.delete()[0]


@shared_task
def forget_tokens() -> int:
    """Delete what is over of OAuth: tokens, codes, assertions. Returns how many rows went."""
    return forget_oauth(now=utc_now())


@shared_task(ignore_result=True)
def rotate_keys() -> None:
    """Make the next signing key in time, and drop those whose tokens have all ended."""
    rotate_signing_keys(now=utc_now())


@shared_task(ignore_result=True)
def gather_digests() -> int:
    """Make the digests that are due, each person's once a day; return how many."""
    return make_digests(now=utc_now())


@shared_task(ignore_result=True)
def remind_of_keys() -> int:
    """Tell of keys that end soon, each time once; return how many mails that makes."""
    return tell_of_ending_keys()


@shared_task(ignore_result=True)
def fetch_issuer_keys() -> int:
    """Fetch the keys of every issuer for which it is time; return how many changed."""
    return sum(fetch_again(issuer_id, now=utc_now()) for issuer_id in due_issuers(now=utc_now()))


@shared_task(ignore_result=True)
def fetch_github_keys() -> None:
    """Fetch the public keys with which GitHub signs its reports of leaked keys, if a setting says where."""
    fetch_keys()
