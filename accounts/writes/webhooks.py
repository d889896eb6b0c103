"""Webhooks of teams: made, removed, told, and told again."""

import secrets
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.audit import Actor, record_audit
from accounts.mail.headlines import headline
from accounts.models import Team, User
from accounts.models.audit import AuditTag
from accounts.models.notifications import NotificationKind
from accounts.models.webhooks import (
    WEBHOOK_KINDS,
    DeliveryState,
    Webhook,
    WebhookDelivery,
    WebhookFormat,
)
from accounts.webhooks.task import deliver_webhooks
from accounts.writes.notifications import WAKE_LIFE_S, Fact
from portal.lib.clock import utc_now
from portal.lib.crypto import Sealer
from portal.lib.origin import Origin

WEBHOOKS_MAX = 20
_URL_WANTED = (
    "Give a URL such as https://hooks.corp.example/latchkey, without a name, a password or a #."
)
URL_MAX = 2000
URL_COLUMN = "accounts_webhook.sealed_url"
SECRET_COLUMN = "accounts_webhook.sealed_secret"  # noqa: S105 - a column's name.
SECRET_PREFIX = "lkwh_"  # noqa: S105 - what each begins with.


@dataclass(frozen=True, repr=False)
class NewWebhook:
    """secret: shown to whoever made it, once; "" where the format has no signature."""

    webhook: Webhook
    secret: str


@transaction.atomic
def add_webhook(
    team: Team,
    *,
    name: str,
    url: str,
    form: WebhookFormat,
    kinds: Sequence[NotificationKind],
    actor: Actor,
    created_by: User | None = None,
) -> NewWebhook:
    """Have the team's news of these kinds sent to a URL. Its address is checked at each delivery, when it is connected to.

    Raises: ValidationError naming the field.
    """
    Team.objects.select_for_update().get(pk=team.pk)
    if Webhook.objects.filter(team=team).count() >= WEBHOOKS_MAX:
        raise ValidationError({"name": f"A team has at most {WEBHOOKS_MAX} webhooks."})
    if not kinds or not set(kinds) <= set(WEBHOOK_KINDS):
        raise ValidationError({"kinds": "Choose at least one kind that a team is told of."})
    webhook = Webhook(
        team=team,
        name=name,
        format=form.value,
        kinds=sorted({kind.value for kind in kinds}),
        created_by=created_by,
    )
    webhook.host = _host_of(url)
    secret = SECRET_PREFIX + secrets.token_urlsafe(32) if form is WebhookFormat.SIGNED else ""
    sealer = Sealer(settings.LATCHKEY_SEALING_KEYS)
    webhook.sealed_url = sealer.seal(url, row=str(webhook.pk), column=URL_COLUMN)
    if secret:
        webhook.sealed_secret = sealer.seal(secret, row=str(webhook.pk), column=SECRET_COLUMN)
    webhook.full_clean(exclude=["sealed_url", "sealed_secret"])
    webhook.save()
    _record(AuditTag.WEBHOOK_ADDED, webhook, actor, format=form.value, kinds=webhook.kinds)
    return NewWebhook(webhook, secret)


@transaction.atomic
def remove_webhook(webhook: Webhook, *, actor: Actor) -> None:
    """Take it away with all that waits for it. A second time does nothing."""
    found = Webhook.objects.select_for_update().filter(pk=webhook.pk).first()
    if found is not None:
        _record(AuditTag.WEBHOOK_REMOVED, found, actor)
        found.delete()


@transaction.atomic
def deliver_again(delivery: WebhookDelivery, *, actor: Actor) -> None:
    """Have a dead delivery tried anew. Raises: ValidationError for one that is not dead."""
    found = WebhookDelivery.objects.select_for_update().get(pk=delivery.pk)
    if found.state != DeliveryState.DEAD:
        raise ValidationError("Only a dead delivery is delivered again.")
    found.state, found.tries, found.next_try_at = DeliveryState.WAITING, 0, utc_now()
    found.save(update_fields=["state", "tries", "next_try_at"])
    record_audit(
        AuditTag.WEBHOOK_DELIVERED_AGAIN,
        actor=actor,
        subject_kind="webhook_delivery",
        subject_id=found.pk,
        kind=found.kind,
    )
    _wake_after_commit()


def teams_with_webhooks(team_ids: Iterable[uuid.UUID | None]) -> set[uuid.UUID]:
    """Which of the teams have any, so that nothing is made ready for the others."""
    asked = {one for one in team_ids if one is not None}
    return set(Webhook.objects.filter(team_id__in=asked).values_list("team_id", flat=True))


def tell_webhooks(
    team_id: uuid.UUID, kind: NotificationKind, *, once: str | None = None, **facts: Fact
) -> None:
    """Put the news into the outbox of each webhook of the team that wants its kind, in the writer's transaction."""
    webhooks = Webhook.objects.filter(team_id=team_id, kinds__contains=[kind.value])
    rows = [
        WebhookDelivery(
            webhook=webhook,
            kind=kind,
            payload=_payload(webhook.team, kind, facts),
            once=f"{once}:{webhook.pk.hex}" if once else None,
        )
        for webhook in webhooks.select_related("team").order_by("pk")
    ]
    for row in rows:
        row.payload |= {"id": str(row.pk)}
    if rows:
        WebhookDelivery.objects.bulk_create(rows, ignore_conflicts=once is not None)
        _wake_after_commit()


def open_url(webhook: Webhook) -> str:
    """Raises: SealBroken."""
    sealer = Sealer(settings.LATCHKEY_SEALING_KEYS)
    return sealer.open(bytes(webhook.sealed_url), row=str(webhook.pk), column=URL_COLUMN)


def open_secret(webhook: Webhook) -> str:
    """Return what deliveries are signed with, "" for none. Raises: SealBroken."""
    if webhook.sealed_secret is None:
        return ""
    sealer = Sealer(settings.LATCHKEY_SEALING_KEYS)
    return sealer.open(bytes(webhook.sealed_secret), row=str(webhook.pk), column=SECRET_COLUMN)


def _payload(team: Team, kind: NotificationKind, facts: dict[str, Fact]) -> dict[str, object]:
    said = headline(kind, facts)
    return {
        "kind": kind.value,
        "at": utc_now().isoformat(timespec="seconds"),
        "team": team.slug,
        "text": said.text,
        "link": f"{settings.LATCHKEY_BASE_URL}{said.path}" if said.path else "",
    }


def _host_of(url: str) -> str:
    """The host that may be shown. The URL is repeated in no error. Raises: ValidationError."""
    try:
        if len(url) > URL_MAX or not url.isascii() or not url.isprintable() or set(url) & set(" #"):
            raise ValueError
        origin, _ = Origin.from_url(url.partition("?")[0])
    except ValueError:
        raise ValidationError({"url": _URL_WANTED}) from None
    if origin.scheme != "https" and not settings.LATCHKEY_WEBHOOK_NETWORKS.allowed:
        # Plain text stays in networks that an operator has named.
        raise ValidationError({"url": "Give an https:// URL: what is told is nobody else's."})
    return origin.host


def _record(tag: AuditTag, webhook: Webhook, actor: Actor, **facts: str | list[str]) -> None:
    record_audit(
        tag,
        actor=actor,
        subject_kind="webhook",
        subject_id=webhook.pk,
        team_id=webhook.team_id,
        **facts,
    )


def _wake_after_commit() -> None:
    transaction.on_commit(_wake, robust=True)


def _wake() -> None:
    deliver_webhooks.apply_async(retry=False, expires=WAKE_LIFE_S)
