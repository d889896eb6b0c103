"""Say from where and when a key, a service account or a whole team may be used. All that apply to a caller have to hold."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.audit import Actor, record_audit
from accounts.models import ApiKey, ServiceAccount, Team
from accounts.models.audit import AuditTag
from accounts.writes.networks import checked_networks
from portal.lib.hours import Hours, hours_text

Bounded = ApiKey | ServiceAccount | Team
_KINDS: dict[type[Bounded], str] = {
    ApiKey: "key",
    ServiceAccount: "service_account",
    Team: "team",
}


@transaction.atomic
def change_bounds(
    subject: Bounded,
    *,
    networks: Sequence[str],
    hours: Mapping[str, Any] | None,
    actor: Actor,
) -> None:
    """Let it be used from these networks and in these hours alone. Changing nothing is not audited.

    networks: CIDRs; none means from anywhere. hours: see portal.lib.hours; None means at any time.
    Raises: ValidationError naming the field.
    """
    kind = type(subject)
    found: Any = kind._default_manager.select_for_update(no_key=True).get(pk=subject.pk)  # noqa: SLF001 - Django's own name for it.
    wanted = {"networks": checked_networks(networks), "hours": checked_hours(hours)}
    changed = [name for name, value in wanted.items() if value != getattr(found, name)]
    if not changed:
        return
    for name in changed:
        setattr(found, name, wanted[name])
    found.full_clean()
    found.save(update_fields=changed)
    record_audit(
        AuditTag.BOUNDS_CHANGED,
        actor=actor,
        subject_kind=_KINDS[kind],
        subject_id=found.pk,
        team_id=found.pk if isinstance(found, Team) else found.team_id,
        networks=found.networks,
        hours=hours_text(found.hours),
    )


def checked_hours(hours: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return hours in their one form. Raises: ValidationError naming `hours`."""
    if hours is None:
        return None
    try:
        return Hours.read(hours).kept()
    except ValueError as error:
        raise ValidationError({"hours": str(error)}) from None
