"""Decoy keys: in form like any key, worth nothing, and told of when somebody uses one. None is ever a team's."""

from django.db import models

from portal.lib.clock import utc_now
from portal.lib.ids import new_id

AGENT_MAX = 200
USES_SHOWN = 100


class DecoyKey(models.Model):
    """A key that grants nothing. Like a real one its row proves it and never yields it.

    name: where it was put, for whoever is told that it was used.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    public_id = models.CharField(max_length=16, unique=True, editable=False)
    pepper_id = models.CharField(max_length=16, editable=False)
    digest = models.BinaryField(max_length=32, editable=False)
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=utc_now, editable=False)
    created_by = models.UUIDField(null=True, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return f"lk_{self.public_id}_…"

    @property
    def newest_uses(self) -> "models.QuerySet[DecoyUse]":
        """From where it was used, the newest addresses first, and no more than one page of them."""
        return self.uses.order_by("-first_at")[:USES_SHOWN]


class DecoyUse(models.Model):
    """One address from which a decoy was used, and how often. An IPv6 address stands for its /64.

    user_agent: what the first request there called itself, in what can be printed.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    decoy = models.ForeignKey(DecoyKey, models.CASCADE, related_name="uses")
    peer = models.CharField(max_length=45)
    user_agent = models.CharField(max_length=AGENT_MAX, blank=True)
    door = models.CharField(max_length=10)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    times = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["decoy", "peer"], name="decoy_use_once_for_a_peer"),
        ]

    def __str__(self) -> str:
        return f"{self.decoy_id} from {self.peer}"
