"""The admin's page that says whether anybody's call is let in, and why or why not."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.admin.acts import ActForm
from accounts.admin.base import acting_person, may_in_admin
from accounts.models import ApiKey
from accounts.roles import PortalRight
from models_registry.models import AiModel
from portal.pages.explain import facts_of
from portal.pages.explain_form import PointForm
from proxy.explain.explain import explain
from proxy.explain.situation import load_situation
from proxy.explain.subjects import key_meant, public_part

# It tells of people as of grants and limits.
NEEDED = (PortalRight.SEE_PEOPLE, PortalRight.SEE_REGISTRY)


class AnybodyForm(ActForm, PointForm):
    who = forms.CharField(
        label=gettext_lazy("Who calls"),
        max_length=254,
        help_text=gettext_lazy(
            "A key (lk_…), a person's e-mail address, or the id of a key or a service account."
        ),
    )
    team = forms.SlugField(
        label=gettext_lazy("Team"),
        max_length=60,
        required=False,
        help_text=gettext_lazy("The slug of the team in which a person calls."),
    )
    field_order = ("who", "team", "model", "kind", "address", "at")
    key: ApiKey | None = None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "who" in cleaned and "team" in cleaned:
            try:
                self.key = key_meant(cleaned["who"].strip(), cleaned["team"])
            except ValidationError as error:
                self.add_write_errors(error)
        return cleaned


def may_explain(request: HttpRequest) -> bool:
    """Whether whoever asks may have anybody explained."""
    return all(may_in_admin(request, right) for right in NEEDED)


@require_http_methods(["GET", "HEAD", "POST"])
def explain_page(request: HttpRequest) -> HttpResponse:
    """Ask, and answer what was asked. The form is posted, as whoever asks may paste a whole key: no address is to hold one."""
    if not may_explain(request):
        raise PermissionDenied
    if request.method == "POST" or request.GET.get("who", "").startswith("lk_"):
        return HttpResponseRedirect(f"{request.path}?{_without_secret(request)}")
    person = acting_person(request)
    asked = request.GET if request.GET.get("who") else None
    form = AnybodyForm(asked, person=person, initial=request.GET.dict())
    page: dict[str, Any] = {**admin.site.each_context(request), "title": _("Explain"), "form": form}
    if asked is not None and form.is_valid() and form.key is not None:
        said = explain(load_situation(form.question(form.key), seen=AiModel.objects.all()))
        page |= facts_of(said)
    return TemplateResponse(request, "admin/latchkey/explain.html", page)


def _without_secret(request: HttpRequest) -> str:
    """What is asked, as an address may hold it: of a key what it shows of itself."""
    sent = request.POST if request.method == "POST" else request.GET
    asked = QueryDict(mutable=True)
    for name in AnybodyForm.field_order:
        if text := sent.get(name, "").strip():
            asked[name] = public_part(text) if text.startswith("lk_") else text
    return asked.urlencode()
