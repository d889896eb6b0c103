"""The forms by which whoever a step waits for agrees to a request, or denies it."""

import datetime
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from models_registry.limit_amounts import budget_field, dollars, micro_usd_of
from models_registry.models import AccessRequest
from models_registry.models.requests import REASON_MAX
from models_registry.pages.fields import LastDayField, LimitField
from models_registry.writes.request_terms import DAYS_MAX, left_of


def _reason(*, required: bool, help_text: Any = "") -> forms.CharField:
    return forms.CharField(
        label=_("Reason"),
        help_text=help_text,
        max_length=REASON_MAX,
        required=required,
        widget=forms.Textarea(attrs={"rows": 2}),
    )


class AgreeForm(forms.Form):
    """All that is left of a request, or less."""

    def __init__(self, data: QueryDict | None = None, *, request: AccessRequest) -> None:
        self.left = left_of(request)
        self.by_name = {model.name: model for model in self.left.models}
        first = {
            "models": list(self.by_name),
            "wanted_until": self.left.ends_at.date(),
            "requests_per_minute": self.left.requests_per_minute,
            "tokens_per_minute": self.left.tokens_per_minute,
            "budget": dollars(self.left.budget_micro_usd),
        }
        super().__init__(data, initial=first, auto_id="id_agree_%s")
        self.fields["models"] = forms.MultipleChoiceField(
            label=_("Models"),
            choices=[(name, name) for name in self.by_name],
            widget=forms.CheckboxSelectMultiple,
        )
        self.fields["wanted_until"] = LastDayField(
            label=_("Until"), help_text=_("The last day."), days_max=DAYS_MAX, days_ahead=0
        )
        self.fields["requests_per_minute"] = LimitField(label=_("Calls a minute"))
        self.fields["tokens_per_minute"] = LimitField(label=_("Tokens a minute"))
        if request.service_account is None:
            self.fields["budget"] = budget_field()
        self.fields["reason"] = _reason(
            required=False, help_text=_("Needed where it is less than was asked for.")
        )

    def facts(self) -> dict[str, Any]:
        """What `approve_request` takes, from a form that is valid. The last day that is left is the end that is left."""
        agreed = self.cleaned_data
        until: datetime.datetime = agreed["wanted_until"]
        return {
            "models": [self.by_name[name] for name in agreed["models"]],
            "ends_at": None if until.date() == self.left.ends_at.date() else until,
            "requests_per_minute": agreed["requests_per_minute"],
            "tokens_per_minute": agreed["tokens_per_minute"],
            "budget_micro_usd": micro_usd_of(agreed.get("budget")),
            "reason": agreed["reason"],
        }


class DenyForm(forms.Form):
    reason = _reason(required=True, help_text=_("The team reads it."))

    def __init__(self, data: QueryDict | None = None) -> None:
        super().__init__(data, auto_id="id_deny_%s")
