"""Committed rows for one test, made through the named writes under names that no other test uses."""

import datetime
import secrets
from dataclasses import dataclass
from typing import Any

from accounts.audit import COMMAND
from accounts.models import ApiKey, ServiceAccount, Team, User
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.keys import issue_key
from accounts.writes.people import create_person
from accounts.writes.teams import add_member, create_service_account, create_team
from models_registry.models import AiModel, Grant, ModelKind, ModelStatus, Provider
from models_registry.writes.catalogue import add_model, deploy_model, set_model_status
from models_registry.writes.grants import grant_model
from portal.lib.clock import utc_now
from tests.flows.wire import Reply, exchange, fresh_address, read_reply, write_request

SCOPES = (Scope.CHAT, Scope.EMBEDDINGS)
PRICES = {"price_input": 2_000_000, "price_cached_input": 500_000, "price_output": 8_000_000}
PLENTY = {"requests_per_minute": 1_000_000, "tokens_per_minute": 1_000_000_000}


def unique(word: str) -> str:
    """A name that nothing else bears."""
    return f"{word}-{secrets.token_hex(5)}"


def in_s(seconds: float) -> datetime.datetime:
    """A moment so many seconds from now."""
    return utc_now() + datetime.timedelta(seconds=seconds)


def new_team() -> Team:
    """A team without anything."""
    return create_team(unique("team"), actor=COMMAND)


def new_account(team: Team) -> ServiceAccount:
    """A service account of the team."""
    return create_service_account(team, name=unique("app"), actor=COMMAND)


def new_member(team: Team) -> User:
    """A person who belongs to the team."""
    person = create_person(
        f"{unique('member')}@latchkey.test", password=secrets.token_urlsafe(24), actor=COMMAND
    )
    add_member(team, person=person, role=Role.MEMBER, actor=COMMAND)
    return person


def new_model(
    provider: Provider,
    upstream_name: str,
    *,
    kind: ModelKind = ModelKind.CHAT,
    status: ModelStatus | None = ModelStatus.PUBLISHED,
    name: str = "",
    **facts: Any,
) -> AiModel:
    """A priced model at this provider; gateways hear of it within a moment, not at once."""
    facts = {"context_tokens": 8000, "max_output_tokens": 2000} | PRICES | facts
    model = add_model(name or unique("model"), kind=kind, actor=COMMAND, **facts)
    deploy_model(model, provider=provider, upstream_name=upstream_name, actor=COMMAND)
    if status is not None:
        set_model_status(model, status=status, actor=COMMAND)
    return AiModel.objects.get(pk=model.pk)


def grant(model: AiModel, to: Team | ServiceAccount, **facts: Any) -> Grant:
    """A grant for an hour of every kind of call."""
    defaults: dict[str, Any] = {"scopes": SCOPES, "ends_at": in_s(3600)}
    return grant_model(model, to=to, actor=COMMAND, **(defaults | facts))


@dataclass(frozen=True, repr=False)
class Caller:
    """A key with what it hangs on, calling from an address of its own."""

    key: ApiKey
    text: str
    team: Team
    holder: ServiceAccount | User
    port: int
    address: str

    def headers(self) -> list[tuple[str, str]]:
        """What an application sends with every call."""
        return [("Authorization", f"Bearer {self.text}"), ("Content-Type", "application/json")]

    def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        headers: list[tuple[str, str]] | None = None,
        host: str = "localhost",
    ) -> Reply:
        """Make a request with the key, or with other headers, and read the answer."""
        sent = self.headers() if headers is None else headers
        request = write_request(method, target, body, headers=sent, host=host)
        return read_reply(exchange(self.port, request, address=self.address), method=method)

    def post(self, target: str, body: bytes) -> Reply:
        """Send a body as it is."""
        return self.send("POST", target, body)


def new_caller(port: int, *models: AiModel, team: Team | None = None, **facts: Any) -> Caller:
    """A key of a new service account, or of `holder`, whose team is granted the models."""
    team = team or new_team()
    holder = facts.pop("holder", None) or new_account(team)
    for model in models:
        grant(model, team)
    defaults: dict[str, Any] = {"scopes": SCOPES, "expires_at": in_s(3600)} | PLENTY
    issued = issue_key(team, holder=holder, name=unique("key"), actor=COMMAND, **(defaults | facts))
    return Caller(issued.key, issued.text, team, holder, port, fresh_address())
