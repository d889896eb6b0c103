"""The admin's page that revokes many keys at once, once it has shown which."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from accounts.admin.acts import ActForm, ReasonForm
from accounts.admin.base import acting_person, may_in_admin
from accounts.admin.cells import NOTHING, Cell, Table, link_to, moment
from accounts.audit import acting
from accounts.models import ApiKey, Team, User
from accounts.roles import PortalRight
from accounts.writes.key_selections import (
    SELECTED_MAX,
    KeySelection,
    Preview,
    preview_selection,
    revoke_selection,
)

SHOWN_MAX = 100


class SelectionForm(ActForm):
    """Which keys are meant. What is left empty says nothing; what is given has to hold all together."""

    id_prefix = "which"
    team = forms.SlugField(
        label=gettext_lazy("Team"),
        max_length=60,
        required=False,
        help_text=gettext_lazy("The team's slug."),
    )
    holder = forms.EmailField(
        label=gettext_lazy("Person"),
        required=False,
        help_text=gettext_lazy("The address of whoever holds them."),
    )
    issued_too = forms.BooleanField(
        label=gettext_lazy("And those that the person issued for service accounts or others"),
        required=False,
    )
    network = forms.CharField(
        label=gettext_lazy("Used from"),
        max_length=50,
        required=False,
        help_text=gettext_lazy("An address or a network such as 203.0.113.0/24, in the last week."),
    )
    leaked = forms.BooleanField(
        label=gettext_lazy("Those that were found where others can read them"), required=False
    )

    def clean_team(self) -> Team | None:
        found: Team | None = _named(Team, "slug", self.cleaned_data["team"])
        return found

    def clean_holder(self) -> User | None:
        found: User | None = _named(User, "email__iexact", self.cleaned_data["holder"])
        return found

    def selection(self) -> KeySelection:
        """What was asked for; the form has to be valid."""
        asked = dict(self.cleaned_data)
        return KeySelection(person=asked.pop("holder"), **asked)


class RevokeForm(ReasonForm):
    id_prefix = "revoke"
    fingerprint = forms.CharField(max_length=64, widget=forms.HiddenInput)


@require_http_methods(["GET", "HEAD", "POST"])
def revoke_keys_page(request: HttpRequest) -> HttpResponse:
    """Show what a selection hits, and revoke what was shown."""
    if not may_in_admin(request, PortalRight.REVOKE_KEYS):
        raise PermissionDenied
    person = acting_person(request)
    which = SelectionForm(request.GET or None, person=person)
    revoke = RevokeForm(request.POST if request.method == "POST" else None, person=person)
    if request.method == "POST" and which.is_valid() and revoke.is_valid():
        try:
            done = revoke_selection(which.selection(), actor=acting(person), **revoke.cleaned_data)
        except ValidationError as error:
            revoke.add_write_errors(error)
        else:
            _tell(request, done.count, is_cut=done.is_cut)
            return HttpResponseRedirect(reverse("admin:revoke-keys"))
    page = {**admin.site.each_context(request), "title": _("Revoke keys"), "which": which}
    preview = _preview(which)
    if preview is not None:
        shown = RevokeForm(person=person, initial={"fingerprint": preview.fingerprint})
        page |= {
            "preview": preview,
            "table": _table(preview),
            # What was refused is said beside the preview of now, with the fingerprint of now.
            "revoke": shown,
            "refused": _refusals(revoke),
        }
    return TemplateResponse(request, "admin/latchkey/revoke_keys.html", page)


def _preview(which: SelectionForm) -> Preview | None:
    if not which.is_bound or not which.is_valid():
        return None
    try:
        return preview_selection(which.selection())
    except ValidationError as error:
        which.add_write_errors(error)
        return None


def _refusals(revoke: RevokeForm) -> list[str]:
    """What is wrong with what was sent, under the name of its field where people see that."""
    label = revoke.fields["reason"].label
    return [
        f"{label}: {text}" if name == "reason" else str(text)
        for name, texts in revoke.errors.items()
        for text in texts
    ]


def _table(preview: Preview) -> Table:
    return Table(
        _("Keys that are hit"),
        [_("Key"), _("Name"), _("Team"), _("Holder"), _("Last used"), _("From")],
        [_row(key) for key in preview.keys[:SHOWN_MAX]],
        empty=_("None. Keys that are revoked or have ended are not hit."),
    )


def _row(key: ApiKey) -> list[Cell]:
    use = key.use if hasattr(key, "use") else None
    return [
        link_to(key),
        key.name,
        link_to(key.team),
        str(key.person or key.service_account or NOTHING),
        moment(use.last_used_at) if use else NOTHING,
        use.last_peer if use else NOTHING,
    ]


def _tell(request: HttpRequest, count: int, *, is_cut: bool) -> None:
    told = ngettext("%(count)s key is revoked.", "%(count)s keys are revoked.", count)
    messages.success(request, told % {"count": count})
    if is_cut:
        more = _("There are more than %(most)s: the rest is hit by doing it again.")
        messages.warning(request, more % {"most": SELECTED_MAX})


def _named(model: type[Any], field: str, value: str) -> Any:
    """Raises: ValidationError for what nobody is called."""
    if not value:
        return None
    found = model.objects.filter(**{field: value}).first()
    if found is None:
        raise ValidationError(_("There is none of this name."))
    return found
