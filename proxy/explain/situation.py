"""Everything that an explanation is worked out from, loaded once; the gateway loads the same by the same functions."""

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec
from django.conf import settings
from django.db.models import QuerySet
from redis import RedisError

from accounts.models import ApiKey, ServiceAccount, Team, User
from accounts.models.keys import CALL_SCOPES
from accounts.ways_in.api_keys import caller_of
from accounts.ways_in.prove import with_bounds_of_holder
from accounts.ways_in.standing import Stand, role_calls_models, standing_of
from models_registry.access import could_name_a_model, grants_to
from models_registry.models import AiModel, Grant
from models_registry.snippets import example_input
from portal.lib.clock import utc_now
from proxy.call import CallKind
from proxy.exchange import ParsedCall
from proxy.leases.standings import Standing, read_standings
from proxy.parse import parse_body
from proxy.principal import GrantedModel, Principal
from proxy.principals import assemble
from proxy.route import Route, load_route

GRANTS_READ = 20
_A_LONG_LIFE = datetime.timedelta(days=365)


@dataclass(frozen=True, kw_only=True)
class Question:
    """May this key call this model, and why or why not.

    key: a row, or what `key_as_new` made for whoever has none.
    model: by its name; "" to ask about the key alone. kind: of call; None for what the model answers.
    peer: the caller's address; None leaves addresses out. at: the moment; None for now, with limits as they are counted.
    """

    key: ApiKey
    model: str = ""
    kind: CallKind | None = None
    peer: str | None = None
    at: datetime.datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Situation:
    """The question with all that decides it.

    model: None where there is none of the name that whoever asks may be told of.
    grants: those of the key's team and holder for the model, ended and coming ones too, the newest first.
    granted: the live one that the call spends from. call: the model's example, which limits are reckoned for.
    standings: of all windows by name; None where they are not known.
    """

    asked: Question
    now: datetime.datetime
    kind: CallKind
    standing: tuple[tuple[Stand, bool], ...]
    principal: Principal
    model: AiModel | None = None
    route: Route | None = None
    grants: tuple[Grant, ...] = ()
    granted: GrantedModel | None = None
    call: ParsedCall | None = None
    standings: Mapping[str, Standing] | None = None

    @property
    def is_of_a_key(self) -> bool:
        """Whether the key exists, and is not one that somebody might be issued."""
        return not self.asked.key._state.adding  # noqa: SLF001 - Django's own name for it.


def key_as_new(team: Team, holder: ServiceAccount | User) -> ApiKey:
    """Return a key as it would be issued to the holder now, with nothing narrowed. It is never saved."""
    account = holder if isinstance(holder, ServiceAccount) else None
    return ApiKey(
        team=team,
        service_account=account,
        person=holder if isinstance(holder, User) else None,
        scopes=[scope.value for scope in CALL_SCOPES],
        expires_at=utc_now() + 100 * _A_LONG_LIFE,
    )


def load_situation(asked: Question, *, seen: QuerySet[AiModel]) -> Situation:
    """Load it. seen: the models that whoever asks may be told of, beside those that the key's team was ever granted."""
    now = asked.at or utc_now()
    key = asked.key
    principal = assemble(with_bounds_of_holder(caller_of(key)), now=now)
    standing = [*standing_of(key, now=now)]
    if key.person is not None:
        standing.append((Stand.ROLE_CALLS, role_calls_models(key.team, key.person)))
    of_key = Situation(
        asked=asked,
        now=now,
        kind=asked.kind or CallKind.CHAT,
        standing=tuple(standing),
        principal=principal,
    )
    return _with_model(of_key, seen) if asked.model else of_key


def _with_model(found: Situation, seen: QuerySet[AiModel]) -> Situation:
    """Add the model, with what grants and limits say of it."""
    name = found.asked.model
    if not could_name_a_model(name):
        return found
    grants = _grants(found.asked.key, name)
    model = grants[0].model if grants else seen.filter(name=name).first()
    if model is None:
        return found
    kind = found.asked.kind or CallKind(model.kind)
    route = load_route(name, now=found.now)
    found = replace(found, kind=kind, model=model, route=route, grants=grants)
    granted = found.principal.grant_for(model.pk, kind, now=found.now)
    if route is None or granted is None or route.kind != kind:
        return found
    body = json.dumps({"model": name} | example_input(kind)).encode()
    standings = None if found.asked.at else _standings(granted, route)
    return replace(found, granted=granted, call=parse_body(kind, body), standings=standings)


def _grants(key: ApiKey, model: str) -> tuple[Grant, ...]:
    granted = grants_to(team_id=key.team_id, service_account_id=key.service_account_id)
    found = granted.filter(model__name=model).select_related("model", "team", "service_account")
    return tuple(found.order_by("-ends_at", "-id")[:GRANTS_READ])


def _standings(granted: GrantedModel, route: Route) -> dict[str, Standing] | None:
    """How the windows stand over all gateways, or None where the store is away."""
    windows = [*granted.windows, *route.windows]
    try:
        found = read_standings(settings.LATCHKEY_LIMITS_URL, windows)
    except RedisError:
        return None
    return {window.name: one for window, one in zip(windows, found, strict=True)}


def without_addresses(found: Situation) -> tuple[Principal, Route | None]:
    """The principal and the route as they would be if every address were as good as another."""
    route = found.route and msgspec.structs.replace(found.route, networks=())
    return msgspec.structs.replace(found.principal, networks=()), route
