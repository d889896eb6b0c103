"""Whoever shows something that was used before may have stolen it: then all that came of it ends, for the thief and the owner."""

import uuid

from django.db import transaction

from accounts.audit import SYSTEM, record_audit
from accounts.models import OAuthApplication, OAuthRefreshToken, Team
from accounts.models.audit import AuditTag


@transaction.atomic
def end_family(family: uuid.UUID | None, *, client: OAuthApplication, team: Team) -> None:
    """End every token that came of one authorization. Gateways refuse them within a second. A second time ends nothing more."""
    if family is None:
        return
    alive = OAuthRefreshToken.objects.filter(token_family=family, revoked=None).count()
    OAuthRefreshToken.revoke_family(family)
    if alive:
        record_audit(
            AuditTag.OAUTH_REPLAYED,
            actor=SYSTEM,
            subject_kind="oauth_client",
            subject_id=client.credential_id,
            team_id=team.pk,
        )
