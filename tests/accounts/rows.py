"""Rows for tests, made by the project's own writes, under names that no other test uses."""

import datetime
import secrets

from accounts.audit import COMMAND
from accounts.models import CustomRole, ServiceAccount, Team, User, Webhook
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.models.webhooks import WEBHOOK_KINDS, WebhookFormat
from accounts.roles import AnyPortalRole, AnyTeamRole, PortalRight, Right
from accounts.writes.custom_roles import make_portal_role, make_team_role
from accounts.writes.keys import IssuedKey, issue_key
from accounts.writes.people import create_person
from accounts.writes.portal_roles import give_portal_role
from accounts.writes.teams import add_member, create_service_account, create_team
from accounts.writes.webhooks import add_webhook
from portal.lib.clock import utc_now

PASSWORD = "a long enough passphrase"
REASON = "It was found in a log."


def new_name(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(6)}"


def new_team() -> Team:
    return create_team(new_name("team"), actor=COMMAND, cost_centre="4711")


def new_account(team: Team | None = None) -> ServiceAccount:
    return create_service_account(team or new_team(), name=new_name("app"), actor=COMMAND)


def new_person(*, is_administrator: bool = False) -> User:
    return create_person(
        f"{new_name('person')}@latchkey.test",
        password=PASSWORD,
        actor=COMMAND,
        is_administrator=is_administrator,
    )


def new_member(team: Team, role: AnyTeamRole = Role.MEMBER) -> User:
    person = new_person()
    add_member(team, person=person, role=role, actor=COMMAND)
    return person


def new_holder(*roles: AnyPortalRole) -> User:
    """Somebody who has these roles for the whole portal."""
    person = new_person()
    for role in roles:
        give_portal_role(person, role=role, actor=COMMAND)
    return User.objects.get(pk=person.pk)


def new_portal_role(*rights: PortalRight) -> CustomRole:
    return make_portal_role(name=new_name("role"), rights=rights, actor=COMMAND)


def new_team_role(team: Team, *rights: Right) -> CustomRole:
    return make_team_role(team, name=new_name("role"), rights=rights, actor=COMMAND)


def tomorrow() -> datetime.datetime:
    return utc_now() + datetime.timedelta(days=1)


def new_webhook(team: Team, url: str = "https://hooks.corp.example/latchkey") -> Webhook:
    return add_webhook(
        team,
        name=new_name("hook"),
        url=url,
        form=WebhookFormat.SIGNED,
        kinds=WEBHOOK_KINDS,
        actor=COMMAND,
    ).webhook


def new_key(holder: ServiceAccount | None = None) -> IssuedKey:
    holder = holder or new_account()
    return issue_key(
        holder.team,
        holder=holder,
        name="First",
        scopes=[Scope.CHAT],
        expires_at=tomorrow(),
        actor=COMMAND,
    )
