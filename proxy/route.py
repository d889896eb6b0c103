"""Where a call goes: one model with the deployment that serves it, loaded whole and kept in memory."""

import datetime
import ipaddress
import logging
import uuid
from functools import cached_property

import msgspec
from django.db.models import QuerySet

from models_registry.models import AiModel, Deployment, Limit, ModelStatus
from models_registry.writes.providers import open_credential
from portal.lib.client_address import Network, within
from portal.lib.clock import utc_now
from portal.lib.crypto import SealBroken
from portal.lib.origin import Origin
from proxy.call import CallKind
from proxy.leases.window import Window
from proxy.limit_plan import Plan, plan_of
from proxy.limit_windows import window_of
from proxy.upstreams import openai_chat, openai_embeddings
from proxy.upstreams.request_head import HeadStart

_log = logging.getLogger("latchkey.registry")
_PATHS = {CallKind.CHAT: openai_chat.PATH, CallKind.EMBEDDINGS: openai_embeddings.PATH}
_CALLABLE = (ModelStatus.PUBLISHED, ModelStatus.DEPRECATED)


class Price(msgspec.Struct, frozen=True, gc=False):
    """Micro-USD (1e-6 USD) per million tokens. None: reasoning and audio output as output, audio input as input."""

    input: int
    cached_input: int
    output: int
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None

    @property
    def dearest_input(self) -> int:
        """The most that a token of a prompt can cost."""
        return max(self.input, self.cached_input, self.audio_input or 0)

    @property
    def dearest_output(self) -> int:
        """The most that a token of an answer can cost."""
        return max(self.output, self.reasoning or 0, self.audio_output or 0)


class RouteIds(msgspec.Struct, frozen=True, gc=False):
    """The ids as the journal writes them: 16 bytes each, made once."""

    model: bytes
    deployment: bytes
    provider: bytes


class Route(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A model that can be called now, and where. The credential opens the upstream; it goes nowhere else.

    networks: from where callers may reach it; none means from anywhere.
    windows: the limits of the model itself, which everybody's calls spend from.
    """

    model_id: uuid.UUID
    name: str
    kind: str
    owned_by: str
    created: int
    deprecated_at: datetime.datetime | None
    sunset_at: datetime.datetime | None
    context_tokens: int
    max_output_tokens: int
    tokens_per_byte: float
    price: Price
    extra_members: frozenset[str]
    drains: bool
    cap_member: str
    journal_ids: RouteIds
    upstream_name: str
    origin: Origin
    base_path: bytes
    credential: str
    windows: tuple[Window, ...] = ()
    networks: tuple[Network, ...] = ()

    def __repr__(self) -> str:
        return f"Route({self.name!r})"

    def is_open_to(self, peer: str) -> bool:
        """Whether callers at this address may reach it."""
        return not self.networks or within(peer, self.networks)

    @cached_property
    def plan(self) -> Plan:
        """What everybody's calls of the model spend from, made ready."""
        return plan_of(self.windows)

    @cached_property
    def secret(self) -> bytes:
        """The credential as an upstream could repeat it."""
        return self.credential.encode()

    @cached_property
    def whole_head(self) -> HeadStart:
        """How a call begins whose answer comes whole."""
        return self._head(accept=b"application/json")

    @cached_property
    def event_head(self) -> HeadStart:
        """How a call begins whose answer comes as events."""
        return self._head(accept=b"text/event-stream")

    def _head(self, *, accept: bytes) -> HeadStart:
        headers = [
            (b"content-type", b"application/json"),
            (b"accept", accept),
            (b"user-agent", b"latchkey"),
        ]
        if self.credential:
            headers.append((b"authorization", b"Bearer " + self.secret))
        return HeadStart(
            self.origin.host_header(),
            method=b"POST",
            target=self.base_path + _PATHS[CallKind(self.kind)],
            headers=headers,
        )


def load_routes() -> dict[str, Route]:
    """Return every callable model that has an enabled deployment, by the name callers use."""
    return _routes(Deployment.objects.all(), _limits_by_model(now=utc_now()))


def load_route(name: str, *, now: datetime.datetime) -> Route | None:
    """Return one of them, with its limits as they are counted at that moment."""
    limits = _limits_by_model(now=now, name=name)
    return _routes(Deployment.objects.filter(model__name=name), limits).get(name)


def _routes(
    deployments: QuerySet[Deployment], limits: dict[uuid.UUID, tuple[Window, ...]]
) -> dict[str, Route]:
    routes: dict[str, Route] = {}
    deployments = (
        deployments.filter(enabled=True, model__status__in=_CALLABLE)
        .select_related("model__owner", "provider")
        .order_by("model_id", "position", "id")
    )
    for deployment in deployments:
        if deployment.model.name not in routes:
            try:
                routes[deployment.model.name] = _route(
                    deployment, limits.get(deployment.model_id, ())
                )
            except (ValueError, SealBroken) as fault:
                # One provider that cannot be used must not take the others with it.
                _log.error(
                    "A deployment cannot be used.",
                    extra={"deployment_id": str(deployment.pk), "fault": str(fault)},
                )
    return routes


def _limits_by_model(
    *, now: datetime.datetime, name: str | None = None
) -> dict[uuid.UUID, tuple[Window, ...]]:
    found: dict[uuid.UUID, tuple[Window, ...]] = {}
    limits = Limit.objects.filter(model__isnull=False, team=None).order_by("id")
    for limit in limits if name is None else limits.filter(model__name=name):
        if limit.model_id is not None:
            found[limit.model_id] = (*found.get(limit.model_id, ()), window_of(limit, now=now))
    return found


def _route(deployment: Deployment, windows: tuple[Window, ...]) -> Route:
    model, provider = deployment.model, deployment.provider
    origin, base_path = Origin.from_url(provider.base_url)
    return Route(
        model_id=model.id,
        name=model.name,
        kind=model.kind,
        owned_by=_owner(model, is_demonstration=provider.is_demonstration),
        created=int(model.created_at.timestamp()),
        deprecated_at=model.deprecated_at if model.status == ModelStatus.DEPRECATED else None,
        sunset_at=model.sunset_at if model.status == ModelStatus.DEPRECATED else None,
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
        tokens_per_byte=model.tokens_per_byte,
        price=Price(
            model.price_input,
            model.price_cached_input,
            model.price_output,
            model.price_reasoning,
            model.price_audio_input,
            model.price_audio_output,
        ),
        extra_members=frozenset(model.extra_members),
        drains=model.hang_up == "drain",
        cap_member=model.output_cap_member,
        journal_ids=RouteIds(model.id.bytes, deployment.id.bytes, provider.id.bytes),
        upstream_name=deployment.upstream_name,
        origin=origin,
        base_path=base_path,
        credential=open_credential(provider),
        windows=windows,
        networks=tuple(ipaddress.ip_network(text) for text in provider.networks),
    )


def _owner(model: AiModel, *, is_demonstration: bool) -> str:
    if is_demonstration:
        return "latchkey-demonstration"
    return model.owner.slug if model.owner is not None else "latchkey"
