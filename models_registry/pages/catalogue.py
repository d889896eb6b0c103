"""The catalogue, a model's page, and asking for it."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.access import teams_of
from accounts.models import User
from accounts.pages.parts import page_of, show_refusal
from accounts.roles import Right
from accounts.signed_in import person_of
from models_registry.access import access_model, grants_of, live_grants_of, requests_seen_by
from models_registry.models import AccessRequest, RequestStatus
from models_registry.pages.forms import AskForm, CatalogueFilters
from models_registry.snippets import snippets_for
from models_registry.writes.requests import ask_for_access
from portal.lib.clock import utc_now

GRANTS_SHOWN = 100


@require_safe
def catalogue(request: HttpRequest) -> HttpResponse:
    person = person_of(request)
    filters = CatalogueFilters(request.GET)
    page = page_of(request, filters.chosen(person))
    shown = [model.pk for model in page.object_list]
    usable = live_grants_of(person).filter(model__in=shown).values_list("model_id", flat=True)
    waiting = _open_requests(person).filter(requested_models__model__in=shown)
    return render(
        request,
        "models_registry/catalogue.html",
        {
            "filters": filters,
            "is_filtered": any(filters.cleaned_data.values()),
            "page": page,
            "usable": set(usable),
            "waiting": set(waiting.values_list("requested_models__model_id", flat=True)),
        },
    )


@require_safe
def model_page(request: HttpRequest, name: str) -> HttpResponse:
    person = person_of(request)
    model = access_model(person, name)
    grants = grants_of(person).filter(model=model).select_related("team", "service_account__team")
    may_ask = teams_of(person, right=Right.ASK_FOR_ACCESS).exists()
    return render(
        request,
        "models_registry/model.html",
        {
            "model": model,
            "is_past_sunset": model.sunset_at is not None and model.sunset_at <= utc_now(),
            "grants": grants.order_by("ends_at", "id")[:GRANTS_SHOWN],
            "waiting": _open_requests(person).filter(requested_models__model=model)[:3],
            "may_ask": may_ask,
            "snippets": snippets_for(model),
            "now": utc_now(),
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest, name: str) -> HttpResponse:
    person = person_of(request)
    model = access_model(person, name)
    if not teams_of(person, right=Right.ASK_FOR_ACCESS).exists():
        raise PermissionDenied
    form = AskForm(request.POST or None, person=person, model=model)
    if request.method == "POST" and form.is_valid():
        try:
            made = ask_for_access(person, **form.facts())
        except ValidationError as error:
            show_refusal(form, error)
        else:
            messages.success(request, _told(made))
            return redirect("request", made.pk)
    return render(request, "models_registry/ask.html", {"form": form, "model": model})


def _told(made: AccessRequest) -> str:
    if made.status == RequestStatus.APPROVED:
        return _("You asked, and the policies in force approved it.")
    return _("You asked. Whoever has to agree has been told.")


def _open_requests(person: User) -> QuerySet[AccessRequest]:
    return requests_seen_by(person).filter(status=RequestStatus.OPEN)
