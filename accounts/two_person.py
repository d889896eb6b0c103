"""The acts that take two people, by their action.

Apps above this one plug theirs in when Django starts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from django.core.exceptions import PermissionDenied

from accounts.audit import Actor
from accounts.models import User
from accounts.models.proposals import ProposedAction
from accounts.roles import PortalRight, portal_rights

TAKES_TWO = "This takes two people: propose it, and let another one confirm it."


@dataclass(frozen=True)
class TwoPersonAct:
    """One of them.

    right: what both need.
    facts: a msgspec Struct; what a row holds is read as exactly this, or not at all.
    carry_out: the named write. It is called with both people as its actor, and asks again what each of them may.
    says: what it does, in words for whoever decides; it may name what is looked up.
    """

    action: ProposedAction
    right: PortalRight
    facts: type[msgspec.Struct]
    carry_out: Callable[[Any, Actor], object]
    says: Callable[[Any], str]

    def read(self, facts: object) -> msgspec.Struct:
        """Raises: msgspec.ValidationError for facts of another form."""
        return msgspec.convert(facts, self.facts)


def demand_second(actor: Actor) -> None:
    """Raises: PermissionDenied for one person alone."""
    if actor.needs_second:
        raise PermissionDenied(TAKES_TWO)


_ACTS: dict[ProposedAction, TwoPersonAct] = {}


def plug_in(act: TwoPersonAct) -> None:
    """Let the action be proposed."""
    _ACTS[act.action] = act


def act_of(action: str) -> TwoPersonAct:
    """Raises: ValueError, KeyError for one that nothing carries out."""
    return _ACTS[ProposedAction(action)]


def actions_for(person: User) -> list[ProposedAction]:
    """What the person may propose and decide on."""
    own = portal_rights(person)
    return [action for action, act in _ACTS.items() if act.right in own]
