"""Issue and revoke keys."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.audit import Actor, record_audit
from accounts.credential import make_credential
from accounts.models import ApiKey, ServiceAccount, Team, User
from accounts.models.audit import AuditTag
from accounts.models.keys import CALL_SCOPES, Scope
from accounts.roles import portal_rights
from accounts.writes.bounds import checked_hours
from accounts.writes.networks import checked_networks
from accounts.writes.reasons import checked_reason
from portal.lib.clock import utc_now
from portal.lib.crypto import Peppers
from portal.lib.hours import hours_text


@dataclass(frozen=True, repr=False)
class IssuedKey:
    """A new key with its text, which is shown once and stored nowhere."""

    key: ApiKey
    text: str


@transaction.atomic
def issue_key(
    team: Team,
    *,
    holder: ServiceAccount | User,
    name: str,
    scopes: Sequence[Scope],
    expires_at: datetime.datetime,
    actor: Actor,
    purpose: str = "",
    tags: Sequence[str] = (),
    cost_centre: str = "",
    networks: Sequence[str] = (),
    hours: Mapping[str, Any] | None = None,
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
) -> IssuedKey:
    """Make a key for a holder of this team.

    networks: CIDRs the key may be used from; none means from anywhere.
    hours: when, see portal.lib.hours; None means at any time. Those of its holder and team hold on top.
    Raises: ValidationError naming the field.
    """
    _refuse_stranger(team, holder)
    if expires_at <= utc_now():
        raise ValidationError({"expires_at": "This end lies in the past."})
    _refuse_scopes(scopes, holder)
    credential = make_credential()
    peppers = Peppers(settings.LATCHKEY_KEY_PEPPERS)
    key = ApiKey(
        public_id=credential.public_id,
        pepper_id=peppers.current_id,
        digest=peppers.digest(credential.text, pepper_id=peppers.current_id),
        team=team,
        service_account=holder if isinstance(holder, ServiceAccount) else None,
        person=holder if isinstance(holder, User) else None,
        name=name,
        purpose=purpose,
        tags=list(tags),
        cost_centre=cost_centre or team.cost_centre,
        scopes=[scope.value for scope in scopes],
        networks=checked_networks(networks),
        hours=checked_hours(hours),
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        expires_at=expires_at,
        created_by=actor.id,
    )
    key.full_clean()
    key.save()
    record_audit(
        AuditTag.KEY_ISSUED,
        actor=actor,
        subject_kind="key",
        subject_id=key.id,
        team_id=team.id,
        public_id=key.public_id,
        scopes=key.scopes,
        networks=key.networks,
        hours=hours_text(key.hours),
        expires_at=expires_at.isoformat(),
    )
    return IssuedKey(key, credential.text)


def locked_key(key: ApiKey) -> ApiKey:
    """The key as it is now. Whoever changes it takes the same lock: of two acts the second sees the first."""
    keys = ApiKey.objects.select_related("team", "service_account", "person")
    return keys.select_for_update(of=("self",)).get(pk=key.pk)


@transaction.atomic
def revoke_key(key: ApiKey, *, actor: Actor, reason: str) -> None:
    """End a key for good; gateways refuse it within a second and cut its open streams within five.

    Revoking twice keeps the first reason.
    """
    reason = checked_reason(reason, act="the key is revoked")
    key = ApiKey.objects.select_for_update().get(pk=key.pk)
    if key.revoked_at is not None:
        return
    key.revoked_at, key.revoked_by, key.revoked_reason = utc_now(), actor.id, reason
    key.save(update_fields=["revoked_at", "revoked_by", "revoked_reason"])
    record_audit(
        AuditTag.KEY_REVOKED,
        actor=actor,
        subject_kind="key",
        subject_id=key.id,
        team_id=key.team_id,
        reason=key.revoked_reason,
    )


def _refuse_scopes(scopes: Sequence[Scope], holder: ServiceAccount | User) -> None:
    """Managing is for people: it is done in somebody's name, and never wider than what that person may do."""
    if not scopes:
        raise ValidationError({"scopes": "A key needs at least one scope."})
    if isinstance(holder, ServiceAccount) and not set(scopes) <= set(CALL_SCOPES):
        raise ValidationError({"scopes": "Only a person's key can open the management API."})
    if Scope.ADMINISTER in scopes and not (isinstance(holder, User) and portal_rights(holder)):
        raise ValidationError(
            {"scopes": "Only the key of somebody with a role for the portal can administer."}
        )


def _refuse_stranger(team: Team, holder: ServiceAccount | User) -> None:
    if isinstance(holder, ServiceAccount):
        belongs = holder.team_id == team.pk
    else:
        # Locked, so that a removal of the member sees this key or refuses it.
        membership = team.memberships.select_for_update(no_key=True).filter(person=holder).first()
        belongs = membership is not None
    if not belongs:
        raise ValidationError({"holder": "A key's holder belongs to the key's team."})
