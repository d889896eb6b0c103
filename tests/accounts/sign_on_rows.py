"""A connection for single sign-on and what a group of it means, under names that no other test uses."""

from accounts.audit import COMMAND
from accounts.models import SignOnConnection, SignOnMapping, Team
from accounts.models.sign_on import SignOnKind
from accounts.models.teams import Role
from accounts.writes.sign_on import add_connection, map_group
from tests.accounts.rows import new_name


def new_connection(
    *, name: str = "Corp", issuer: str = "https://idp.latchkey.test", **facts: str
) -> SignOnConnection:
    return add_connection(
        new_name("corp"),
        kind=SignOnKind.OIDC,
        name=name,
        issuer=issuer,
        client_id=facts.pop("client_id", "latchkey"),
        domains=[f"{new_name('id')}.example"],
        group_claim=facts.pop("group_claim", "groups"),
        actor=COMMAND,
        **facts,
    )


def new_mapping(team: Team, *, group: str = "staff") -> SignOnMapping:
    return map_group(new_connection(), group=group, team=team, role=Role.MEMBER, actor=COMMAND)
