"""Who calls: everything about a credential that a call is decided on, frozen, so that a decision needs no look-up."""

import datetime
import uuid
from functools import cached_property

import msgspec

from accounts.ways_in.proven import CredentialKind
from portal.lib.client_address import Network
from portal.lib.hours import Hours
from proxy.leases.window import Window
from proxy.limit_plan import Plan, plan_of


class GrantedModel(msgspec.Struct, frozen=True, dict=True):
    """One grant's part for one model.

    windows: everything that a call by it spends from: the principal's windows, the grant's own, which all callers by it
        share, and the team's of this model.
    """

    scopes: frozenset[str]
    starts_at: datetime.datetime
    ends_at: datetime.datetime
    windows: tuple[Window, ...] = ()

    @cached_property
    def plan(self) -> Plan:
        """What its calls spend from, made ready."""
        return plan_of(self.windows)

    def is_live(self, now: datetime.datetime) -> bool:
        """Whether it has begun and has not ended."""
        return self.starts_at <= now < self.ends_at


class JournalIds(msgspec.Struct, frozen=True, gc=False):
    """The ids as the journal writes them: 16 bytes each, made once. key: the credential's, of whichever kind."""

    team: bytes
    key: bytes
    service_account: bytes | None
    person: bytes | None


class Principal(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A credential that was proven, whose team, holder and membership all stand.

    credential_id: of what can be ended as one: the key, the OAuth client, or the rule that trusts a workload.
    grants: by model id; several grants for one model stand side by side, those that limit least first.
    windows: what every call spends from: the credential's calls and tokens of any minute, and the limits of the key, its
        service account or person, and its team.
    networks: lists of networks; the caller has to stand in each of the lists.
    ends_at: when the credential itself ends, whatever a token of it says; None for never.
    hours: in each of which a call has to lie.
    depends_on: the ids whose change may change this principal.
    renew_at: Unix seconds at which a calendar's period among its windows ends, and it has to be loaded anew; None for never.
    only_models: the key's narrower list, or None where it has none.
    by_previous_secret: whether the secret is the one that a rotation of the key replaced, in the overlap.
    """

    credential_id: uuid.UUID
    kind: CredentialKind
    team_id: uuid.UUID
    service_account_id: uuid.UUID | None
    person_id: uuid.UUID | None
    purpose: str
    scopes: frozenset[str]
    networks: tuple[tuple[Network, ...], ...]
    expires_at: datetime.datetime
    depends_on: frozenset[uuid.UUID]
    windows: tuple[Window, ...]
    journal_ids: JournalIds
    grants: dict[uuid.UUID, tuple[GrantedModel, ...]]
    only_models: frozenset[uuid.UUID] | None
    renew_at: int | None = None
    ends_at: datetime.datetime | None = None
    hours: tuple[Hours, ...] = ()
    by_previous_secret: bool = False

    def is_in_hours(self, now: datetime.datetime) -> bool:
        """Whether the moment lies in all hours that apply."""
        return all(hours.is_open(now) for hours in self.hours)

    @cached_property
    def plan(self) -> Plan:
        """What is spent from before it is known which model is called, made ready."""
        return plan_of(self.windows)

    def may_call(self, model_id: uuid.UUID, *, now: datetime.datetime) -> frozenset[str]:
        """Return the kinds of call granted for the model now, whatever the credential itself allows."""
        return frozenset().union(
            *(grant.scopes for grant in self._granted(model_id) if grant.is_live(now))
        )

    def grant_for(
        self, model_id: uuid.UUID, kind: str, *, now: datetime.datetime
    ) -> GrantedModel | None:
        """Return the grant that a call of this kind spends from: of those that stand, the one that limits least."""
        for grant in self._granted(model_id):
            if kind in grant.scopes and grant.is_live(now):
                return grant
        return None

    def _granted(self, model_id: uuid.UUID) -> tuple[GrantedModel, ...]:
        if self.only_models is not None and model_id not in self.only_models:
            return ()
        return self.grants.get(model_id, ())
