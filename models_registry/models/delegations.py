"""Who agrees to requests in the place of somebody who is away."""

from django.conf import settings
from django.db import models

from portal.lib.clock import utc_now


class ApprovalDelegation(models.Model):
    """Until it ends, the delegate can agree wherever the person can. Each person has one, and none is passed on."""

    person = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="approval_delegation"
    )
    delegate = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="approvals_delegated_to_them"
    )
    created_at = models.DateTimeField(default=utc_now, editable=False)
    ends_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(person=models.F("delegate")), name="delegation_to_another"
            )
        ]

    def __str__(self) -> str:
        return f"{self.delegate_id} in the place of {self.person_id}"
