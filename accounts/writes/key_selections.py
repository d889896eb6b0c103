"""Revoke many keys at once: whoever does it sees first which, and no other key is hit than those that were shown."""

import hashlib
import ipaddress
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.audit import Actor
from accounts.call_source import is_from, keys_called_from
from accounts.models import ApiKey, KeyUse, Team, User
from accounts.writes.keys import revoke_key
from portal.lib.clock import utc_now

# More at once would hold a page, and a transaction that the page has opened, for too long.
SELECTED_MAX = 1_000
BATCH = 100


@dataclass(frozen=True)
class KeySelection:
    """Which keys that still work are meant: those for which everything holds that is given.

    person: held by them. issued_too: or issued by them for whatever holder, as they have seen its text.
    network: last used from there, or called from there within a week.
    leaked: reported as found where others can read them.
    """

    team: Team | None = None
    person: User | None = None
    issued_too: bool = False
    network: str = ""
    leaked: bool = False


@dataclass(frozen=True)
class Preview:
    """What a selection hits now, in the order in which it is revoked.

    fingerprint: of exactly these keys; the revocation wants it back. is_cut: there are more, which another round hits.
    """

    keys: list[ApiKey]
    fingerprint: str
    is_cut: bool


@dataclass(frozen=True)
class Revoked:
    """How many keys were revoked, and whether the selection has more."""

    count: int
    is_cut: bool


def preview_selection(selection: KeySelection) -> Preview:
    """Return what the selection hits. Raises: ValidationError for one that says nothing, or no network."""
    found = list(_select(selection)[: SELECTED_MAX + 1])
    keys = found[:SELECTED_MAX]
    return Preview(keys, _fingerprint(keys), is_cut=len(found) > SELECTED_MAX)


def revoke_selection(
    selection: KeySelection, *, fingerprint: str, actor: Actor, reason: str
) -> Revoked:
    """Revoke what the preview with this fingerprint showed, in batches; each key has an entry of its own.

    Raises: ValidationError where the selection hits other keys by now, and as `revoke_key` for the reason.
    """
    preview = preview_selection(selection)
    if fingerprint != preview.fingerprint:
        raise ValidationError(
            {"fingerprint": "Other keys are hit by now than those that were shown. Look again."}
        )
    for start in range(0, len(preview.keys), BATCH):
        with transaction.atomic():
            for key in preview.keys[start : start + BATCH]:
                revoke_key(key, actor=actor, reason=reason)
    return Revoked(len(preview.keys), preview.is_cut)


def _select(selection: KeySelection) -> QuerySet[ApiKey]:
    if not (selection.team or selection.person or selection.network or selection.leaked):
        raise ValidationError("Say which keys: of a team, a person, a network, or those found.")
    keys = ApiKey.objects.select_related("team", "service_account", "person", "use").filter(
        revoked_at=None, expires_at__gt=utc_now()
    )
    if selection.team is not None:
        keys = keys.filter(team=selection.team)
    if selection.person is not None:
        theirs = Q(person=selection.person)
        if selection.issued_too:
            theirs |= Q(created_by=selection.person.pk)
        keys = keys.filter(theirs)
    if selection.network:
        keys = keys.filter(pk__in=_used_from(selection.network))
    if selection.leaked:
        keys = keys.filter(pk__in=ApiKey.objects.filter(leaks__isnull=False).values("pk"))
    return keys.order_by("id")


def _used_from(text: str) -> list[uuid.UUID]:
    """The keys used from the network lately. Raises: ValidationError."""
    try:
        network = ipaddress.ip_network(text.strip())
    except ValueError as error:
        raise ValidationError({"network": f"This is no network in CIDR form: {error}."}) from None
    if "%" in text:
        raise ValidationError({"network": "Leave the zone out: it names an interface of one host."})
    last = KeyUse.objects.filter(is_from("last_peer", network))
    return list({*last.values_list("key_id", flat=True), *keys_called_from(network)})


def _fingerprint(keys: Sequence[ApiKey]) -> str:
    return hashlib.sha256(b"".join(key.pk.bytes for key in keys)).hexdigest()[:32]
