"""Write a notification as a mail, from templates/mail/ and the facts of its row, when it is sent."""

import datetime
import uuid
from dataclasses import dataclass
from typing import Any, Literal, assert_never

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from accounts.call_source import calls_of_key
from accounts.links import invitation_link, reset_link
from accounts.models import IdleKey, Invitation, Leak, Notification, Proposal
from accounts.models.leaks import LOOKED_BACK
from accounts.models.notifications import NotificationKind
from portal.lib.clock import utc_now

LINE_MAX = 150
SUBJECTS = {
    NotificationKind.INVITATION: _("Join %(team)s on Latchkey"),
    NotificationKind.PASSWORD_RESET: _("Choose a new password for Latchkey"),
    NotificationKind.REQUEST_MADE: _("%(team)s asks for %(models)s"),
    NotificationKind.REQUEST_COMMENTED: _("A comment on the request of %(team)s for %(models)s"),
    NotificationKind.REQUEST_DECIDED: _("Your request for %(models)s: %(status)s"),
    NotificationKind.REQUEST_WITHDRAWN: _("%(team)s no longer asks for %(models)s"),
    NotificationKind.KEY_ENDING: _("The key %(key)s ends on %(ends_on)s"),
    NotificationKind.KEY_LEAKED: _("The key %(key)s was found where others can read it"),
    NotificationKind.KEY_IDLE: _("Nobody uses the key %(key)s, which is disabled on %(ends_on)s"),
    NotificationKind.KEY_DISABLED: _("The key %(key)s was disabled, as nobody used it"),
    NotificationKind.DECOY_USED: _("A decoy key was used from %(peer)s"),
    NotificationKind.KEY_ROTATED: _("The old secret of the key %(key)s ends on %(ends_on)s"),
    NotificationKind.LIMIT_ALERT: _("%(percent)s %% of the limit of %(of)s is used"),
    NotificationKind.PROPOSAL_MADE: _("%(by)s asks for a second person: %(action)s"),
    NotificationKind.PROPOSAL_DECIDED: _("Your proposal was %(state)s: %(action)s"),
    NotificationKind.GRANT_ENDING: _("Access to %(model)s ends on %(ends_on)s"),
    NotificationKind.REQUEST_WAITS: _("The request of %(team)s for %(models)s waits for you"),
    NotificationKind.APPROVALS_DELEGATED: _("You can agree to requests in the place of %(by)s"),
    NotificationKind.REQUEST_AGREED: _("%(by)s agreed to your request for %(models)s"),
    NotificationKind.SECOND_FACTOR_CHANGED: _("Your second factor for Latchkey has changed"),
    NotificationKind.DIGEST: _("Your day on Latchkey: %(count)s notifications"),
}
# By what was done and to which kind of factor.
FACTOR_CHANGES = {
    ("added", "totp"): _("An authenticator app was set up for you."),
    ("added", "webauthn"): _("A passkey was added for you."),
    ("removed", "totp"): _("Your authenticator app was removed."),
    ("removed", "webauthn"): _("A passkey of yours was removed."),
    ("replaced", "recovery_codes"): _(
        "New recovery codes were made for you; the old ones have ended."
    ),
    ("used", "recovery_codes"): _("One of your recovery codes was used."),
}
_DECOY = "admin:accounts_decoykey_change"
_PROPOSALS = {"confirmed": _("confirmed"), "refused": _("refused")}
STATUSES = {"approved": _("approved"), "denied": _("denied"), "withdrawn": _("withdrawn")}


class NothingToTell(Exception):
    """What was to be told is not so any more; the text says why."""


@dataclass(frozen=True, repr=False)
class Mail:
    """A mail as people read it. Text and HTML can hold a link's secret: they are sent and not kept."""

    to: str
    subject: str
    text: str
    html: str


def write_mail(notification: Notification) -> Mail:
    """Write the mail in the portal's language. Links begin with LATCHKEY_BASE_URL, whatever Host anybody sent.

    Raises: NothingToTell.
    """
    _refuse_outdated_person(notification)
    kind = NotificationKind(notification.kind)
    with translation.override(settings.LANGUAGE_CODE):
        facts = _facts(notification, kind)
        # One line, whatever a name holds: a subject cannot end its header.
        subject = " ".join((SUBJECTS[kind] % facts).split())[:LINE_MAX]
        context = facts | {"subject": subject, "base_url": settings.LATCHKEY_BASE_URL}
        return Mail(
            to=notification.email,
            subject=subject,
            text=render_to_string(f"mail/{kind.value}.txt", context).strip() + "\n",
            html=render_to_string(f"mail/{kind.value}.html", context).strip() + "\n",
        )


def _refuse_outdated_person(notification: Notification) -> None:
    """What is a person's own goes to nobody who is disabled, and to no address that is not theirs any more."""
    person = notification.person
    if person is None:
        return
    if not person.is_active:
        raise NothingToTell("The person was disabled before it was sent.")
    if person.email != notification.email:
        raise NothingToTell("The person's address changed before it was sent.")


def _facts(notification: Notification, kind: NotificationKind) -> dict[str, Any]:
    facts = dict(notification.facts)
    match kind:
        case NotificationKind.INVITATION:
            return facts | _of_invitation(facts["invitation_id"])
        case NotificationKind.PASSWORD_RESET:
            return facts | _of_reset(notification)
        case (
            NotificationKind.REQUEST_MADE
            | NotificationKind.REQUEST_COMMENTED
            | NotificationKind.REQUEST_DECIDED
            | NotificationKind.REQUEST_WITHDRAWN
            | NotificationKind.REQUEST_AGREED
            | NotificationKind.REQUEST_WAITS
        ):
            return facts | _of_request(facts)
        case (
            NotificationKind.KEY_ENDING
            | NotificationKind.KEY_IDLE
            | NotificationKind.KEY_DISABLED
            | NotificationKind.KEY_ROTATED
            | NotificationKind.GRANT_ENDING
        ):
            return facts | _of_key_or_grant(facts, kind)
        case (
            NotificationKind.LIMIT_ALERT | NotificationKind.KEY_LEAKED | NotificationKind.DECOY_USED
        ):
            return facts | _of_alert(facts, kind)
    return facts | _of_people(facts, kind)


def _of_people(
    facts: dict[str, Any],
    kind: Literal[
        NotificationKind.SECOND_FACTOR_CHANGED,
        NotificationKind.PROPOSAL_MADE,
        NotificationKind.PROPOSAL_DECIDED,
        NotificationKind.DIGEST,
        NotificationKind.APPROVALS_DELEGATED,
    ],
) -> dict[str, Any]:
    match kind:
        case NotificationKind.APPROVALS_DELEGATED:
            return _of_end(facts) | {"link": page_link("requests")}
        case NotificationKind.SECOND_FACTOR_CHANGED:
            told = FACTOR_CHANGES.get((facts["what"], facts["factor"]), SUBJECTS[kind])
            return {"told": told, "link": page_link("security")}
        case NotificationKind.PROPOSAL_MADE | NotificationKind.PROPOSAL_DECIDED:
            return _of_proposal(facts, kind)
        case NotificationKind.DIGEST:
            return {"link": page_link("notifications")}
    assert_never(kind)


def _of_alert(
    facts: dict[str, Any],
    kind: Literal[
        NotificationKind.LIMIT_ALERT, NotificationKind.KEY_LEAKED, NotificationKind.DECOY_USED
    ],
) -> dict[str, Any]:
    match kind:
        case NotificationKind.LIMIT_ALERT:
            return _of_limit(facts)
        case NotificationKind.KEY_LEAKED:
            return _of_leak(facts["leak_id"])
        case NotificationKind.DECOY_USED:
            at = datetime.datetime.fromisoformat(facts["at"])
            return {"at": at, "link": page_link(_DECOY, uuid.UUID(facts["decoy_id"]))}
    assert_never(kind)


def _of_reset(notification: Notification) -> dict[str, Any]:
    if notification.person is None:
        raise NothingToTell("It names no person.")
    return {"link": reset_link(notification.person)}


def _of_request(facts: dict[str, Any]) -> dict[str, Any]:
    status, since = facts.get("status", ""), facts.get("since", "")
    return {
        "since": datetime.datetime.fromisoformat(since) if since else None,
        "models": ", ".join(facts["models"]),
        "status": STATUSES.get(status, status),
        "is_approved": status == "approved",
        "link": page_link("request", uuid.UUID(facts["request_id"])),
    }


def _of_invitation(invitation_id: str) -> dict[str, Any]:
    invitation = (
        Invitation.objects.select_related("team", "invited_by").filter(pk=invitation_id).first()
    )
    if invitation is None or invitation.closed_at is not None or invitation.ends_at <= utc_now():
        raise NothingToTell("The invitation was used, withdrawn or over before it was sent.")
    by = invitation.invited_by
    return {
        "team": invitation.team.name,
        "invited_by": "" if by is None else by.name or by.email,
        "ends_at": invitation.ends_at,
        "link": invitation_link(invitation),
    }


def _of_end(facts: dict[str, Any]) -> dict[str, Any]:
    ends_at = datetime.datetime.fromisoformat(facts["ends_at"])
    if ends_at <= utc_now():
        raise NothingToTell("The end was there before it was sent.")
    return {"ends_at": ends_at, "ends_on": f"{ends_at:%Y-%m-%d}"}


def _of_leak(leak_id: str) -> dict[str, Any]:
    leak = Leak.objects.select_related("key").filter(pk=leak_id).first()
    if leak is None:
        raise NothingToTell("The key is gone.")
    return {
        "leak": leak,
        "is_over": leak.key.revoked_at is not None or leak.key.expires_at <= utc_now(),
        "since": leak.reported_at - LOOKED_BACK,
        "calls": calls_of_key(leak.key, since=leak.reported_at - LOOKED_BACK),
        "link": page_link("key", leak.key_id),
    }


def _of_key_or_grant(facts: dict[str, Any], kind: NotificationKind) -> dict[str, Any]:
    is_grant = kind is NotificationKind.GRANT_ENDING
    page = ("ask", facts["model"]) if is_grant else ("key", uuid.UUID(facts["key_id"]))
    link = {"link": page_link(*page)}
    if kind in (NotificationKind.KEY_IDLE, NotificationKind.KEY_DISABLED):
        return _of_idle_key(facts, kind) | link
    return _of_end(facts) | link


def _of_idle_key(facts: dict[str, Any], kind: NotificationKind) -> dict[str, Any]:
    """A key that was used or enabled before the mail was sent is told of no more."""
    is_warning = kind is NotificationKind.KEY_IDLE
    if not IdleKey.objects.filter(
        key=facts["key_id"], key__disabled_at__isnull=is_warning
    ).exists():
        raise NothingToTell("The key was used, enabled or disabled before it was sent.")
    if is_warning:
        since = datetime.datetime.fromisoformat(facts["idle_since"])
        return _of_end(facts) | {"idle_since": since}
    removes_at = facts["removes_at"]
    return {"removes_at": removes_at and datetime.datetime.fromisoformat(removes_at)}


def _of_limit(facts: dict[str, Any]) -> dict[str, Any]:
    limit_id, resets_at = uuid.UUID(facts["limit_id"]), facts["resets_at"]
    if facts["slug"]:
        link = page_link("team-limit", facts["slug"], limit_id)
    elif facts["in_admin"]:
        link = page_link("admin:models_registry_limit_change", limit_id)
    else:
        link = page_link("home")
    return {
        "link": link,
        "resets_at": datetime.datetime.fromisoformat(resets_at) if resets_at else None,
    }


def _of_proposal(facts: dict[str, Any], kind: NotificationKind) -> dict[str, Any]:
    found = Proposal.objects.filter(pk=facts["proposal_id"]).first()
    if found is None or (kind == NotificationKind.PROPOSAL_MADE and not found.waits):
        raise NothingToTell("It was decided on, or its time was over, before it was sent.")
    return {
        "state": proposal_state(found.state),
        "ends_at": found.ends_at,
        "link": page_link("admin:accounts_proposal_change", found.pk),
    }


def proposal_state(state: str) -> str:
    """What became of a proposal, in a word."""
    return str(_PROPOSALS.get(state, state))


def page_link(name: str, *arguments: object) -> str:
    """The address of one of the portal's pages, as people outside it follow it."""
    return f"{settings.LATCHKEY_BASE_URL}{reverse(name, args=arguments)}"
