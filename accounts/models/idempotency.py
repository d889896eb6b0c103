"""Replies that are given again: a client that repeats a request under one key gets the first result."""

import datetime

from django.db import models

from portal.lib.clock import utc_now

REPLY_KEPT = datetime.timedelta(hours=24)


class IdempotentReply(models.Model):
    """The first reply to a request under an idempotency key.

    caller: who sent it, as a digest; keys of different callers never meet.
    request_digest: SHA-256 of method, path and body; another request under the same key is refused.
    sealed_body: the reply, sealed under the row's name, as it may hold a key that is shown once; None while it is made.
    """

    caller = models.BinaryField(max_length=32)
    key = models.CharField(max_length=200)
    request_digest = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField(null=True)
    content_type = models.CharField(max_length=100, blank=True)
    sealed_body = models.BinaryField(null=True)
    created_at = models.DateTimeField(default=utc_now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["caller", "key"], name="idempotency_key_once"),
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotent_reply_by_time")]

    def __str__(self) -> str:
        return f"Reply of {self.created_at:%Y-%m-%d %H:%M}"
