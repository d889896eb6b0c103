"""The rules of the credential: whether it stands, and from where and when it may be used."""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from accounts.models import ApiKey
from accounts.ways_in.networks import hours_over, lists_over
from accounts.ways_in.standing import Stand
from portal.lib.client_address import within
from portal.lib.hours import hours_text
from proxy.explain.answer import Checked, Rule, State
from proxy.explain.situation import Situation

_OF_A_KEY = {Stand.NOT_REVOKED, Stand.NOT_ENDED, Stand.KEY_ENABLED}


def rules_of_caller(found: Situation) -> Iterator[Checked]:
    """Say what holds of the key, its holder and its team, and of where and when the call is made."""
    for stand, held in found.standing:
        if found.is_of_a_key or stand not in _OF_A_KEY:
            yield _standing(stand, found.asked.key, held=held)
    for whose, networks in _lists(found.asked.key):
        yield _address(whose, networks, found.asked.peer)
    for whose, hours in _hours(found.asked.key):
        yield _hour(whose, hours, found.now)


def moment_text(at: datetime.datetime) -> str:
    """As 25 Nov 2026, 13:05 UTC."""
    at = at.astimezone(datetime.UTC)
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def state_of(*, held: bool) -> State:
    return State.HELD if held else State.NOT_HELD


def _standing(stand: Stand, key: ApiKey, *, held: bool) -> Checked:
    text, remedy = _WORDS[stand](key, held)
    return Checked(Rule(stand.value), state_of(held=held), text, "" if held else remedy)


def _not_revoked(key: ApiKey, held: bool) -> tuple[str, str]:  # noqa: FBT001 - all of one table.
    if held or key.revoked_at is None:
        return _("The key is not revoked."), ""
    text = _("The key was revoked on %(at)s: %(reason)s") % {
        "at": moment_text(key.revoked_at),
        "reason": key.revoked_reason,
    }
    return text, _("Issue a new key. A revoked one never works again.")


def _not_ended(key: ApiKey, held: bool) -> tuple[str, str]:  # noqa: FBT001
    ends = {"at": moment_text(key.expires_at)}
    if held:
        return _("The key lasts until %(at)s.") % ends, ""
    return _("The key ended on %(at)s.") % ends, _("Issue a new key.")


def _key_enabled(key: ApiKey, held: bool) -> tuple[str, str]:  # noqa: FBT001
    if held or key.disabled_at is None:
        return _("The key is enabled."), ""
    text = _("The key was disabled on %(at)s, as nobody had used it for long.")
    return text % {"at": moment_text(key.disabled_at)}, _("Enable the key on its page.")


def _team_enabled(key: ApiKey, held: bool) -> tuple[str, str]:  # noqa: FBT001
    name = {"name": key.team.name}
    if held:
        return _("The team %(name)s is enabled.") % name, ""
    return _("The team %(name)s is disabled.") % name, _(
        "Ask an administrator to enable the team again."
    )


def _account_enabled(key: ApiKey, held: bool) -> tuple[str, str]:  # noqa: FBT001
    name = {"name": key.service_account.name if key.service_account else ""}
    if held:
        return _("The service account %(name)s is enabled.") % name, ""
    remedy = _("Ask whoever manages the team's service accounts to enable it again.")
    if key.service_account and key.service_account.is_held_by_administrator:
        remedy = _("Ask an administrator to enable it again: the team may not.")
    return _("The service account %(name)s is disabled.") % name, remedy


def _person_enabled(key: ApiKey, held: bool) -> tuple[str, str]:  # noqa: FBT001
    name = {"name": _holder(key)}
    if held:
        return _("%(name)s is enabled.") % name, ""
    return _("%(name)s is disabled.") % name, _("Ask an administrator to enable the person again.")


def _in_team(key: ApiKey, held: bool) -> tuple[str, str]:  # noqa: FBT001
    names = {"name": _holder(key), "team": key.team.name}
    if held:
        return _("%(name)s belongs to the team %(team)s.") % names, ""
    return _("%(name)s does not belong to the team %(team)s.") % names, _(
        "Ask whoever manages the team's members for an invitation, then issue a new key."
    )


def _role_calls(key: ApiKey, held: bool) -> tuple[str, str]:  # noqa: FBT001
    names = {"name": _holder(key)}
    if held:
        return _("The role of %(name)s in the team lets them call models.") % names, ""
    return _("The role of %(name)s in the team calls no models.") % names, _(
        "Ask whoever manages the team's members for a role that calls models."
    )


_WORDS = {
    Stand.NOT_REVOKED: _not_revoked,
    Stand.NOT_ENDED: _not_ended,
    Stand.KEY_ENABLED: _key_enabled,
    Stand.TEAM_ENABLED: _team_enabled,
    Stand.ACCOUNT_ENABLED: _account_enabled,
    Stand.PERSON_ENABLED: _person_enabled,
    Stand.IN_TEAM: _in_team,
    Stand.ROLE_CALLS: _role_calls,
}


def _holder(key: ApiKey) -> str:
    return "" if key.person is None else key.person.name or key.person.email


def _lists(key: ApiKey) -> Iterator[tuple[str, Sequence[str]]]:
    """Whose list of networks holds, with the list."""
    bounded = (
        (_("The key"), key),
        (_("The service account"), key.service_account),
        (_("The team"), key.team),
    )
    yield from ((whose, one.networks) for whose, one in bounded if one and one.networks)


def _hours(key: ApiKey) -> Iterator[tuple[str, Mapping[str, Any]]]:
    bounded = (
        (_("The key"), key),
        (_("The service account"), key.service_account),
        (_("The team"), key.team),
    )
    yield from ((whose, one.hours) for whose, one in bounded if one and one.hours)


def _address(whose: str, networks: Sequence[str], peer: str | None) -> Checked:
    said = {"whose": whose, "networks": ", ".join(networks), "peer": peer}
    if peer is None:
        text = _("%(whose)s may be used from %(networks)s alone. Give an address to check it.")
        return Checked(Rule.ADDRESS, State.NOT_ASKED, text % said)
    [accepted] = lists_over(networks)
    if within(peer, accepted):
        text = _("%(whose)s may be used from %(peer)s.")
        return Checked(Rule.ADDRESS, State.HELD, text % said)
    text = _("%(whose)s may be used from %(networks)s alone, and %(peer)s is not among them.")
    return Checked(
        Rule.ADDRESS,
        State.NOT_HELD,
        text % said,
        _("Call from one of these networks, or have the address added to the list."),
    )


def _hour(whose: str, kept: Mapping[str, Any], now: datetime.datetime) -> Checked:
    said = {"whose": whose, "hours": hours_text(kept)}
    if all(hours.is_open(now) for hours in hours_over(kept)):
        return Checked(
            Rule.HOURS, State.HELD, _("%(whose)s may be used at this time: %(hours)s.") % said
        )
    return Checked(
        Rule.HOURS,
        State.NOT_HELD,
        _("%(whose)s may be used in these hours alone: %(hours)s.") % said,
        _("Call within these hours, or have them changed."),
    )
