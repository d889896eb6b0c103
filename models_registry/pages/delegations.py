"""The page on which somebody names who agrees to requests in their place."""

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts.pages.parts import show_refusal
from accounts.signed_in import person_of
from models_registry.models import ApprovalDelegation
from models_registry.pages.fields import LastDayField
from models_registry.writes.delegations import DAYS_MAX, delegate_approvals, end_delegation
from portal.lib.clock import utc_now


class DelegateForm(forms.Form):
    email = forms.EmailField(
        label=gettext_lazy("Their e-mail address"),
        help_text=gettext_lazy("Somebody who is in one of your teams."),
        max_length=254,
    )

    def __init__(self, data: QueryDict | None = None) -> None:
        super().__init__(data)
        self.fields["ends_at"] = LastDayField(
            label=_("Until"), help_text=_("The last day."), days_max=DAYS_MAX - 1, days_ahead=14
        )


@require_http_methods(["GET", "HEAD", "POST"])
def delegate(request: HttpRequest) -> HttpResponse:
    person = person_of(request)
    form = DelegateForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            delegate_approvals(person, **form.cleaned_data)
        except ValidationError as error:
            show_refusal(form, error)
        else:
            messages.success(request, _("They agree in your place from now on, and are told."))
            return redirect("delegate")
    found = ApprovalDelegation.objects.select_related("delegate").filter(
        person=person, ends_at__gt=utc_now()
    )
    context = {"form": form, "delegation": found.first()}
    return render(request, "models_registry/delegate.html", context)


@require_POST
def delegate_end(request: HttpRequest) -> HttpResponse:
    end_delegation(person_of(request))
    messages.success(request, _("Nobody agrees in your place any more."))
    return redirect("delegate")
