"""The log of calls and each call's own page. They read the ledger, always within bounds of ids."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import ApiKey
from accounts.signed_in import person_of
from models_registry.models import AiModel
from portal.lib.clock import utc_now
from proxy.access import Sight, access_call, sight_of
from proxy.pages.forms import CallsForm
from proxy.usage.call_log import Asked, TooSlow, keys_seen, newest_calls
from proxy.usage.labels import Label, label_of, text_of
from proxy.usage.names import credential_names, keys_by_id, model_names
from proxy.usage.told import ToldCall, tell

CALLS_A_PAGE = 50
BAR_WIDTH = 1000
NOBODY = uuid.UUID(int=0)
V = TypeVar("V")


@dataclass(frozen=True)
class Shown:
    """A call with the names of what it was made with; None, or "", where that is gone.

    key: where it was made with one. credential: the name of the key, the OAuth client or the rule of trust.
    """

    told: ToldCall
    label: Label
    key: ApiKey | None
    credential: str
    model: str | None


@dataclass(frozen=True)
class Timing:
    """Where a call's time went, in microseconds, and the same as places on a bar of BAR_WIDTH."""

    gateway_us: int
    first_byte_us: int
    rest_us: int
    places: tuple[tuple[int, int], ...]


@require_safe
def calls(request: HttpRequest) -> HttpResponse:
    """List the calls that the person sees, the newest first."""
    sight = sight_of(person_of(request))
    keys = keys_seen(sight)
    form = CallsForm(request.GET, teams=sight.teams, keys=keys, today=utc_now().date())
    page: dict[str, object] = {"form": form, "sees_whole": bool(sight.whole_teams)}
    page["is_filtered"] = bool({"team", "model", "key", "status"} & set(request.GET))
    if form.is_valid():
        page |= _listed(sight, form, keys, before=_uuid(request.GET.get("before", "")))
    return render(request, "calls/calls.html", page)


@require_safe
def call(request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
    """Show one call: its steps, timings, tokens, price and corrections."""
    found = access_call(person_of(request), call_id)
    [told] = tell([found])
    [shown] = _named([told], keys=keys_by_id([found.key_id]), models={})
    changes = [(change, label_of(change.status)) for change in told.adjustments]
    page = {"shown": shown, "told": told, "call": found, "code_text": text_of(told.code)}
    page |= {"changes": changes, "timing": _timing(told), "first": label_of(found.status)}
    return render(request, "calls/call.html", page)


def _listed(
    sight: Sight, form: CallsForm, keys: list[ApiKey], *, before: uuid.UUID | None
) -> dict[str, object]:
    model_id, models = _model_asked(form.cleaned_data["model"])
    asked = Asked(form.span, before, form.key_id, model_id, form.status_asked)
    narrowed = sight if form.team_id is None else sight.narrowed_to(form.team_id)
    try:
        found = newest_calls(narrowed, asked, limit=CALLS_A_PAGE + 1, keys=keys)
    except TooSlow:
        return {"too_slow": True}
    told = tell(found[:CALLS_A_PAGE])
    rows = _named(told, keys={key.pk: key for key in keys}, models=models)
    older = found[CALLS_A_PAGE - 1].pk if len(found) > CALLS_A_PAGE else None
    return {"rows": rows, "older": older, "is_newest": before is None, "span": form.span}


def _model_asked(text: str) -> tuple[uuid.UUID | None, dict[uuid.UUID, str]]:
    """Return the id of the model that is meant by name or id. A name that is no model's finds nothing, as a hidden one."""
    if not text:
        return None, {}
    by_id = _uuid(text)
    if by_id is not None:
        return by_id, {}
    model = AiModel.objects.filter(name=text).first()
    return (model.pk, {model.pk: model.name}) if model else (NOBODY, {})


def _named(
    told: list[ToldCall], *, keys: dict[uuid.UUID, ApiKey], models: dict[uuid.UUID, str]
) -> list[Shown]:
    """Name what is known already, and ask once for the rest."""
    names = {pk: key.name for pk, key in keys.items()}
    names |= _missing(names, (one.call.key_id for one in told), credential_names)
    models = models | _missing(models, (one.call.model_id for one in told), model_names)
    return [
        Shown(
            one,
            label_of(one.status),
            keys.get(one.call.key_id),
            names.get(one.call.key_id, ""),
            models.get(one.call.model_id) if one.call.model_id else None,
        )
        for one in told
    ]


def _missing(
    known: Mapping[uuid.UUID, V],
    wanted: Iterable[uuid.UUID | None],
    ask: Callable[[Iterable[uuid.UUID | None]], dict[uuid.UUID, V]],
) -> dict[uuid.UUID, V]:
    unknown = {one for one in wanted if one is not None and one not in known}
    return ask(unknown) if unknown else {}


def _timing(told: ToldCall) -> Timing | None:
    """Return where the time went, if it went upstream. A late end says how long a call took and nothing of its parts."""
    if told.adjustments or not told.call.upstream_us:
        return None
    total = told.duration_us
    upstream = min(told.call.upstream_us, total)
    first_byte = min(told.call.first_byte_us, upstream)
    own, rest = total - upstream, upstream - first_byte
    at, places = 0, []
    for part in (own, first_byte, rest):
        places.append((at * BAR_WIDTH // total, part * BAR_WIDTH // total))
        at += part
    return Timing(own, first_byte, rest, tuple(places))


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
