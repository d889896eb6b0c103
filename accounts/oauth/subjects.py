"""For whom tokens are issued: a client's service account, or a person in one team, as they stand now."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from oauthlib.common import Request

from accounts.access import memberships_of
from accounts.models import OAuthApplication, ServiceAccount, Team, User
from accounts.models.keys import CALL_SCOPES, Scope
from accounts.roles import Right, is_administrator, may

# What a request remembers it under.
SUBJECT = "latchkey_subject"


@dataclass(frozen=True)
class Subject:
    """family: of the refresh tokens that belong together; None where there is none to be."""

    holder: User | ServiceAccount
    team: Team
    family: uuid.UUID | None = None

    @property
    def person(self) -> User | None:
        return self.holder if isinstance(self.holder, User) else None


def keep_subject(request: Request, subject: Subject) -> None:
    """Remember for whom this request is answered."""
    setattr(request, SUBJECT, subject)


def subject_of(request: Request) -> Subject:
    """Return for whom this request is answered. Read past the request's own look-up, which reads parameters as well."""
    return cast(Subject, vars(request)[SUBJECT])


def may_act_in(person: User, team: Team) -> bool:
    """Whether the person may have credentials of their own in the team, now."""
    if not person.is_active or team.disabled_at is not None:
        return False
    membership = memberships_of(person).filter(team=team).first()
    return membership is not None and may(membership, Right.ISSUE_OWN_KEYS)


def allowed_scopes(
    client: OAuthApplication, holder: User | ServiceAccount, asked: Iterable[str]
) -> list[str]:
    """Return those of the scopes asked for that the client and the holder may both have."""
    most = set(client.scopes)
    if isinstance(holder, ServiceAccount):
        most &= set(CALL_SCOPES)
    elif not is_administrator(holder):
        most -= {Scope.ADMINISTER}
    return [scope for scope in asked if scope in most]
