"""Issue and end decoy keys, and tell of their use."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F

from accounts.access import people_holding
from accounts.audit import SYSTEM, Actor, record_audit
from accounts.credential import make_credential
from accounts.decoys.sightings import Sighting
from accounts.models import DecoyKey, DecoyUse
from accounts.models.audit import AuditTag
from accounts.models.decoys import AGENT_MAX
from accounts.models.notifications import NotificationKind
from accounts.roles import PortalRight
from accounts.writes.notifications import notify
from portal.lib.clock import utc_now
from portal.lib.crypto import Peppers
from portal.lib.redaction import redact

DECOYS_MAX = 1_000
# Whoever has many addresses must not fill the mailboxes: the rest stands on the decoy's page.
PEERS_TOLD = 20
PEERS_MAX = 1_000
PEOPLE_TOLD = 50


@dataclass(frozen=True, repr=False)
class IssuedDecoy:
    """A new decoy with its text, which is shown once and stored nowhere."""

    decoy: DecoyKey
    text: str


@transaction.atomic
def issue_decoy(*, name: str, actor: Actor) -> IssuedDecoy:
    """Make a key that grants nothing, in form like any other.

    name: where it is put. Raises: ValidationError.
    """
    if DecoyKey.objects.filter(ended_at=None).count() >= DECOYS_MAX:
        raise ValidationError(f"There are {DECOYS_MAX} decoys. End one first.")
    credential, peppers = make_credential(), Peppers(settings.LATCHKEY_KEY_PEPPERS)
    decoy = DecoyKey(
        public_id=credential.public_id,
        pepper_id=peppers.current_id,
        digest=peppers.digest(credential.text, pepper_id=peppers.current_id),
        name=redact(name.strip()),
        created_by=actor.id,
    )
    decoy.full_clean()
    decoy.save()
    _note(AuditTag.DECOY_ISSUED, decoy, actor=actor)
    return IssuedDecoy(decoy, credential.text)


@transaction.atomic
def end_decoy(decoy: DecoyKey, *, actor: Actor) -> None:
    """Tell of its use no longer. What was noted stays. A second time changes nothing."""
    decoy = DecoyKey.objects.select_for_update(no_key=True).get(pk=decoy.pk)
    if decoy.ended_at is not None:
        return
    decoy.ended_at = utc_now()
    decoy.save(update_fields=["ended_at"])
    _note(AuditTag.DECOY_ENDED, decoy, actor=actor)


@transaction.atomic
def note_decoy_use(sighting: Sighting) -> None:
    """Note a use; whoever may revoke keys is told of the first from each address, of so many addresses."""
    # Locked, so that of two processes one finds what the other wrote.
    decoy = (
        DecoyKey.objects.select_for_update(no_key=True)
        .filter(pk=sighting.decoy_id, ended_at=None)
        .first()
    )
    if decoy is None:
        return
    uses = DecoyUse.objects.filter(decoy=decoy)
    if uses.filter(peer=sighting.peer).update(
        last_at=sighting.last_at, times=F("times") + sighting.times
    ):
        return
    known = uses.count()
    if known >= PEERS_MAX:
        return
    use = DecoyUse.objects.create(
        decoy=decoy,
        peer=sighting.peer,
        user_agent=printable(sighting.user_agent),
        door=sighting.door.value,
        first_at=sighting.first_at,
        last_at=sighting.last_at,
        times=sighting.times,
    )
    _note(AuditTag.DECOY_USED, decoy, actor=SYSTEM, use_id=str(use.pk))
    if known < PEERS_TOLD:
        _tell(decoy, use)


def printable(agent: str) -> str:
    """What a request called itself, in one line of what can be printed, without what looks like a credential."""
    plain = "".join(one if one.isascii() and one.isprintable() else " " for one in redact(agent))
    return " ".join(plain.split())[:AGENT_MAX]


def _tell(decoy: DecoyKey, use: DecoyUse) -> None:
    for person in people_holding(PortalRight.REVOKE_KEYS)[:PEOPLE_TOLD]:
        notify(
            person,
            NotificationKind.DECOY_USED,
            once=f"decoy-used:{use.pk}:{person.pk}",
            decoy_id=str(decoy.pk),
            name=decoy.name,
            public_id=decoy.public_id,
            peer=use.peer,
            agent=use.user_agent,
            at=use.first_at.isoformat(),
        )


def _note(tag: AuditTag, decoy: DecoyKey, *, actor: Actor, **facts: Any) -> None:
    record_audit(tag, actor=actor, subject_kind="decoy", subject_id=decoy.pk, **facts)
