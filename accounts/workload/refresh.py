"""Keeps issuers' keys true: asked for by whoever met an unknown one, fetched by a task, and by the clock in any case."""

import datetime
import logging
import uuid

from django.db.models import F, Q

from accounts.audit import SYSTEM
from accounts.models import IssuerFetch, TrustedIssuer
from accounts.models.workload import KeySource
from accounts.workload.fetch import IssuerSilent, fetch_keys
from accounts.writes.issuers import replace_keys

# A stranger's tokens can ask no oftener than this, however many there are.
ASKED_EVERY = datetime.timedelta(minutes=1)
FETCHED_EVERY = datetime.timedelta(hours=1)
_log = logging.getLogger("latchkey.issuers")


def want_keys(issuer_id: uuid.UUID, *, now: datetime.datetime) -> bool:
    """Ask for an issuer's keys to be fetched, at most once a minute; return whether this was the one that asked.

    It writes one row and waits for nobody: the task fetches.
    """
    lately = now - ASKED_EVERY
    return bool(
        IssuerFetch.objects.filter(
            Q(wanted_at=None) | Q(wanted_at__lte=lately),
            Q(tried_at=None) | Q(tried_at__lte=lately),
            issuer=issuer_id,
        ).update(wanted_at=now)
    )


def due_issuers(*, now: datetime.datetime) -> list[uuid.UUID]:
    """The issuers whose keys are fetched now: those asked for since the last try, and those not tried for an hour."""
    due = Q(tried_at=None) | Q(wanted_at__gt=F("tried_at")) | Q(tried_at__lte=now - FETCHED_EVERY)
    return list(
        IssuerFetch.objects.filter(due, issuer__disabled_at=None)
        .exclude(issuer__key_source=KeySource.PASTED)
        .order_by("tried_at")
        .values_list("issuer_id", flat=True)
    )


def fetch_again(issuer_id: uuid.UUID, *, now: datetime.datetime) -> bool:
    """Fetch one issuer's keys; return whether they changed. Where it is silent, the keys that are known stay."""
    issuer = TrustedIssuer.objects.filter(pk=issuer_id).exclude(key_source=KeySource.PASTED).first()
    if issuer is None:
        return False
    noted = IssuerFetch.objects.filter(issuer=issuer)
    try:
        keys = fetch_keys(
            issuer.issuer,
            source=issuer.key_source,
            jwks_url=issuer.jwks_url,
            certificate_authority=issuer.certificate_authority,
        )
    except IssuerSilent as silent:
        noted.update(tried_at=now, fault=str(silent)[:300])
        _log.warning(
            "An issuer's keys cannot be fetched.",
            extra={"issuer": issuer.name, "fault": str(silent)},
        )
        return False
    is_new = replace_keys(issuer, keys, actor=SYSTEM)
    noted.update(tried_at=now, fetched_at=now, fault="")
    return is_new
