"""Act on reports that keys were found where they should not be."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import F

from accounts.audit import Actor, record_audit
from accounts.key_facts import facts_of, told_of
from accounts.leaks.recognise import Recognised, recognised
from accounts.models import ApiKey, Leak, ReporterKey
from accounts.models.audit import AuditTag
from accounts.models.leaks import FOUND_IN_MAX, PLACE_MAX, LeakOutcome, LeakReporter
from accounts.models.notifications import NotificationKind
from accounts.writes.key_rotation import end_old_secret
from accounts.writes.keys import locked_key, revoke_key
from accounts.writes.notifications import Fact, notify
from accounts.writes.webhooks import tell_webhooks
from portal.lib.clock import utc_now
from portal.lib.redaction import redact

REASON = "It was found where others can read it."
# A key in a thousand copies of a repository is one leak to whoever reads of it.
PLACES_MAX = 100


@dataclass(frozen=True, repr=False)
class LeakReport:
    """A text that may be a key, and where it was found."""

    token: str
    place: str
    found_in: str


def report_leaks(
    reports: Sequence[LeakReport], *, reporter: LeakReporter, actor: Actor
) -> list[ApiKey | None]:
    """Revoke or flag each key that is reported, as LATCHKEY_LEAKED_KEYS has it, and tell its holder once.

    The same place reported again changes nothing but when it was last reported. Each key is a transaction of its own.
    Returns: the key of each report; None for what is none of ours, which nothing is kept of.
    """
    found = recognised([report.token for report in reports])
    for one, report in zip(found, reports, strict=True):
        if one is not None:
            _act_on(one, report, reporter=reporter, actor=actor)
    return [None if one is None else one.key for one in found]


@transaction.atomic
def replace_reporter_keys(keys: Mapping[str, str], *, actor: Actor) -> bool:
    """Keep exactly these public keys of GitHub's; return whether they are others than before.

    keys: PEM by identifier.
    """
    now, old = utc_now(), dict(ReporterKey.objects.values_list("identifier", "public"))
    ReporterKey.objects.exclude(pk__in=keys).delete()
    ReporterKey.objects.bulk_create(
        [ReporterKey(identifier=one, public=keys[one], fetched_at=now) for one in keys],
        update_conflicts=True,
        unique_fields=["identifier"],
        update_fields=["public", "fetched_at"],
    )
    if dict(keys) == old:
        return False
    record_audit(
        AuditTag.LEAK_REPORTER_KEYS_REPLACED,
        actor=actor,
        subject_kind="leak_reporter",
        subject_id=None,
        old_key_ids=sorted(old),
        key_ids=sorted(keys),
    )
    return True


@transaction.atomic
def _act_on(found: Recognised, report: LeakReport, *, reporter: LeakReporter, actor: Actor) -> None:
    now = utc_now()
    key = locked_key(found.key)
    outcome = _end(key, found, actor=actor)
    place = _readable(report.place, PLACE_MAX)
    digest = hashlib.sha256(f"{reporter.value}\0{place}\0".encode() + found.digest).digest()
    known = Leak.objects.filter(key=key, place_digest=digest)
    is_known = known.update(last_reported_at=now, times=F("times") + 1)
    if is_known and outcome in _ENDS:
        # The policy changed since it was flagged.
        known.update(outcome=outcome)
    if is_known or Leak.objects.filter(key=key).count() >= PLACES_MAX:
        return
    leak = Leak.objects.create(
        key=key,
        reporter=reporter,
        reported_by=actor.id,
        found_in=_readable(report.found_in, FOUND_IN_MAX),
        place=place,
        place_digest=digest,
        outcome=outcome,
        reported_at=now,
        last_reported_at=now,
    )
    record_audit(
        AuditTag.KEY_LEAKED,
        actor=actor,
        subject_kind="key",
        subject_id=key.pk,
        team_id=key.team_id,
        leak_id=str(leak.pk),
        reporter=reporter.value,
        outcome=outcome.value,
    )
    _tell(key, leak, found.digest.hex()[:16])


_ENDS = (LeakOutcome.REVOKED, LeakOutcome.OLD_SECRET_ENDED)


def _end(key: ApiKey, found: Recognised, *, actor: Actor) -> LeakOutcome:
    """End what was found, where it still works and the setting has it so: the key, or its old secret alone."""
    now = utc_now()
    # It was rotated since it was recognised: what was its secret then is its old one.
    is_old = found.is_old or bytes(key.digest) != found.digest
    is_over = key.revoked_at is not None or key.expires_at <= now
    if is_over or (is_old and not key.has_two_secrets(now=now)):
        return LeakOutcome.WAS_OVER
    if settings.LATCHKEY_LEAKED_KEYS != "revoke":
        return LeakOutcome.FLAGGED
    if is_old:
        end_old_secret(key, actor=actor)
        return LeakOutcome.OLD_SECRET_ENDED
    revoke_key(key, actor=actor, reason=REASON)
    return LeakOutcome.REVOKED


def _tell(key: ApiKey, leak: Leak, secret: str) -> None:
    """Tell the person who holds the key, or whoever keeps the team's: once for a secret, in however many places it is.

    secret: names which of the key's secrets it is.
    """
    once = f"key-leaked:{key.pk}:{secret}"
    facts: dict[str, Fact] = {"leak_id": str(leak.pk), **facts_of(key)}
    for person in told_of(key):
        notify(person, NotificationKind.KEY_LEAKED, once=f"{once}:{person.pk}", **facts)
    if key.person is None:
        tell_webhooks(key.team_id, NotificationKind.KEY_LEAKED, once=once, **facts)


def _readable(text: str, length_max: int) -> str:
    """The text in one line of what can be printed, without what looks like a credential in it."""
    plain = "".join(one if one.isprintable() else " " for one in redact(text))
    return " ".join(plain.split())[:length_max]
