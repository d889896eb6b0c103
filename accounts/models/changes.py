"""The change log: one row per id whose rights may have changed, written by triggers on the deciding tables."""

from django.db import models


class Change(models.Model):
    """A change that gateways have to hear of. Rows are made by the database alone; see accounts/change_feed.py.

    transaction: the xid8 of the writer, kept as text here and compared in SQL.
    topic: key, client, token, signing, team, person, service_account, registry, or all (too many to name).
    """

    id = models.BigAutoField(primary_key=True)
    transaction = models.TextField()
    topic = models.TextField()
    ref = models.UUIDField(null=True)
    at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "accounts_change"

    def __str__(self) -> str:
        return f"{self.topic} {self.ref}"
