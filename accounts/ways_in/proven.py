"""What is known of a caller once its credential is proven, whichever kind it is: both doors decide on this and nothing else."""

import datetime
import uuid
from dataclasses import dataclass
from enum import StrEnum

from accounts.models import ApiKey, ServiceAccount, Team, User
from portal.lib.client_address import Network
from portal.lib.hours import Hours

# A look-up takes far less. How much less tells what was found, so nobody hears earlier that a credential is not valid.
REFUSED_AFTER_S = 0.02


class CredentialKind(StrEnum):
    """The ways in. Each has a module here, which proves it."""

    API_KEY = "api_key"
    OAUTH_TOKEN = "oauth_token"  # noqa: S105 - the kind, no token.
    WORKLOAD = "workload"


class Door(StrEnum):
    """Where a credential is presented. A token that was issued for one of them opens no other."""

    CALLS = "calls"
    MANAGEMENT = "management"


@dataclass(frozen=True, kw_only=True, repr=False)
class Proven:
    """A credential that was proven, whose team and holder stand.

    credential_id: of what can be ended as one: the key, the OAuth client, or the rule that trusts a workload.
    service_account, person: who holds it; exactly one of them.
    networks: lists of networks, and the caller has to stand in each of the lists; an empty one is not among them.
    hours: in each of which the call has to lie.
    depends_on: the ids whose change may change any of this.
    ends_at: when the credential itself ends, whatever its token says; None where nothing else than expires_at ends it.
    key: the API key itself where it is one; its own limits and its list of models stand there.
    by_previous_secret: whether it is the secret that a rotation of the key replaced, in the overlap.
    confirmation: what its holder has to prove possession of; None where bearing it is enough.
    """

    credential_id: uuid.UUID
    kind: CredentialKind
    team: Team
    service_account: ServiceAccount | None
    person: User | None
    scopes: frozenset[str]
    networks: tuple[tuple[Network, ...], ...]
    expires_at: datetime.datetime
    purpose: str
    depends_on: frozenset[uuid.UUID]
    ends_at: datetime.datetime | None = None
    key: ApiKey | None = None
    hours: tuple[Hours, ...] = ()
    confirmation: None = None
    by_previous_secret: bool = False
