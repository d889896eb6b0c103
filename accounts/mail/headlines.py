"""A notification as one line, from its facts alone: for the page that lists them and for digests. It holds no link's secret."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import NoReverseMatch, reverse

from accounts.mail.write import LINE_MAX, STATUSES, SUBJECTS, proposal_state
from accounts.models import Notification
from accounts.models.notifications import NotificationKind

_OF_REQUEST = ("request", ("request_id",))
_OF_PROPOSAL = ("admin:accounts_proposal_change", ("proposal_id",))
# The page that a kind leads to, and the facts that name it. What has a link with a secret leads nowhere from here.
_PAGES: dict[NotificationKind, tuple[str, tuple[str, ...]]] = {
    NotificationKind.REQUEST_MADE: _OF_REQUEST,
    NotificationKind.REQUEST_COMMENTED: _OF_REQUEST,
    NotificationKind.REQUEST_DECIDED: _OF_REQUEST,
    NotificationKind.REQUEST_WITHDRAWN: _OF_REQUEST,
    NotificationKind.REQUEST_AGREED: _OF_REQUEST,
    NotificationKind.REQUEST_WAITS: _OF_REQUEST,
    NotificationKind.APPROVALS_DELEGATED: ("requests", ()),
    NotificationKind.KEY_ENDING: ("key", ("key_id",)),
    NotificationKind.KEY_IDLE: ("key", ("key_id",)),
    NotificationKind.KEY_DISABLED: ("key", ("key_id",)),
    NotificationKind.KEY_ROTATED: ("key", ("key_id",)),
    NotificationKind.KEY_LEAKED: ("key", ("key_id",)),
    NotificationKind.DECOY_USED: ("admin:accounts_decoykey_change", ("decoy_id",)),
    NotificationKind.GRANT_ENDING: ("model", ("model",)),
    NotificationKind.LIMIT_ALERT: ("team-limit", ("slug", "limit_id")),
    NotificationKind.SECOND_FACTOR_CHANGED: ("security", ()),
    NotificationKind.PROPOSAL_MADE: _OF_PROPOSAL,
    NotificationKind.PROPOSAL_DECIDED: _OF_PROPOSAL,
}


@dataclass(frozen=True)
class Headline:
    """text: one line. path: of the portal's page it leads to; "" for none."""

    text: str
    path: str


def headline_of(notification: Notification) -> Headline:
    """Say it as its mail's subject does, from what was known when it was written."""
    return headline(NotificationKind(notification.kind), notification.facts)


def headline(kind: NotificationKind, told: Mapping[str, Any]) -> Headline:
    """Say what these facts tell in one line."""
    facts = _plain(told)
    try:
        text = str(SUBJECTS[kind] % facts)
    except KeyError:
        # A row of a version that kept other facts.
        text = str(kind.label)
    return Headline(" ".join(text.split())[:LINE_MAX], _path(kind, facts))


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(facts)
    if isinstance(facts.get("models"), list):
        found["models"] = ", ".join(facts["models"])
    found["status"] = STATUSES.get(facts.get("status", ""), facts.get("status", ""))
    found["state"] = proposal_state(facts.get("state", ""))
    found["ends_on"] = str(facts.get("ends_at", ""))[:10]
    return found


def _path(kind: NotificationKind, facts: dict[str, Any]) -> str:
    route, names = _PAGES.get(kind, ("", ()))
    try:
        return reverse(route, args=[facts[name] for name in names]) if route else ""
    except (NoReverseMatch, KeyError):
        # A limit of no team has its page in the admin, and an older row may lack the id.
        return ""
