"""Which part of the management API somebody may ask. What they may do there, the doors of each app decide."""

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.api.problems import Problem, ProblemCode
from accounts.models import User
from accounts.models.keys import Scope
from accounts.roles import PortalRight, Right, holds, is_administrator, leads, portal_rights
from accounts.ways_in.proven import CredentialKind, Proven


class MayManage(BasePermission):
    """Somebody who signed in, or a person's key or token with the scope `manage`."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.user.is_authenticated and has_scope(request, Scope.MANAGE)


class MayAdminister(BasePermission):
    """Whoever signed in, or came with a key or token with the scope `administer`, and holds the right the view names.

    Here they act for the whole portal, and no longer in one team alone.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        person = request.user
        if not person.is_authenticated or not has_scope(request, Scope.ADMINISTER):
            return False
        person.acts_in_team_id = None
        needed = getattr(view, "sees" if request.method in SAFE_METHODS else "right", None)
        return is_administrator(person) if needed is None else holds(person, needed)


class MayAsk(BasePermission):
    """Whoever may manage or administer: for what tells them of themselves."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.user.is_authenticated and has_scope(request, Scope.MANAGE, Scope.ADMINISTER)


def rights_by(person: User, proven: Proven | None) -> frozenset[PortalRight]:
    """What the person may do in the whole portal, by this credential or, with none, by signing in."""
    if proven is not None and Scope.ADMINISTER not in proven.scopes:
        return frozenset()
    acts_in, person.acts_in_team_id = person.acts_in_team_id, None
    try:
        return portal_rights(person)
    finally:
        person.acts_in_team_id = acts_in


def has_scope(request: Request, *scopes: Scope) -> bool:
    """Whether the request may by its credential; who signed in needs none. Raises: Problem scope_missing."""
    proven = request.auth
    if isinstance(proven, Proven) and not proven.scopes & set(scopes):
        named = " or ".join(f"`{scope.value}`" for scope in scopes)
        raise Problem(ProblemCode.SCOPE_MISSING, f"The {_noun(proven)} needs the scope {named}.")
    return True


def refuse_credential(presented: object) -> None:
    """A stolen key or token begets nothing that acts beyond it. Raises: Problem."""
    if isinstance(presented, Proven):
        raise Problem(ProblemCode.FORBIDDEN, "Sign in for this; no key or token can do it.")


def refuse_token(presented: object) -> None:
    """A token ends within minutes, and with its client: what it begot would outlive both. Raises: Problem."""
    if isinstance(presented, Proven) and presented.kind is not CredentialKind.API_KEY:
        raise Problem(
            ProblemCode.FORBIDDEN, "Sign in for this or come with a key; no token can do it."
        )


def refuse_credential_to_lead(presented: object, *rights: frozenset[Right]) -> None:
    """Who leads a team is settled by signing in: whom a stolen key had made a manager would stay one. Raises: Problem."""
    if any(leads(one) for one in rights):
        refuse_credential(presented)


def _noun(proven: Proven) -> str:
    return "token" if proven.key is None else "key"
