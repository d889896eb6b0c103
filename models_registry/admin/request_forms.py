"""The forms of a decision on a request."""

from typing import Any

from django import forms
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy

from accounts.admin.acts import ActForm, moment_field
from models_registry.limit_amounts import budget_field, dollars, micro_usd_of
from models_registry.models import AccessRequest, AiModel, ModelKind
from models_registry.models.requests import COMMENT_MAX, REASON_MAX
from models_registry.writes.request_terms import left_of


def _reason(*, required: bool) -> forms.CharField:
    return forms.CharField(
        max_length=REASON_MAX,
        required=required,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy(
            "The team reads it, and it is kept in the audit trail: name no person and no secret."
        ),
    )


class ModelChoice(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name} ({obj.get_data_class_display()})"


class ApproveForm(ActForm):
    """What is granted: all that was asked for, or less."""

    id_prefix = "approve"
    models = ModelChoice(queryset=AiModel.objects.none(), widget=forms.CheckboxSelectMultiple)
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("Kinds of call"),
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("A model that is called by a kind left out is not granted."),
    )
    ends_at = moment_field(
        label=gettext_lazy("Until (UTC)"),
        help_text=gettext_lazy("At most until what was asked for."),
    )
    requests_per_minute = forms.IntegerField(
        label=gettext_lazy("Calls a minute"), min_value=1, max_value=2**31 - 1, required=False
    )
    tokens_per_minute = forms.IntegerField(
        label=gettext_lazy("Tokens a minute"), min_value=1, max_value=2**31 - 1, required=False
    )
    budget = budget_field()
    reason = _reason(required=False)

    def prepare(self) -> None:
        """Offer what is left of the request after everybody who agreed so far."""
        left = left_of(self.subject)
        choice, kinds = self.fields["models"], self.fields["scopes"]
        if isinstance(choice, ModelChoice):
            choice.queryset = AiModel.objects.filter(
                pk__in=[model.pk for model in left.models]
            ).order_by("name")
        scopes = sorted({model.kind for model in left.models})
        if isinstance(kinds, forms.MultipleChoiceField):
            kinds.choices = [one for one in ModelKind.choices if one[0] in scopes]
        first: dict[str, Any] = {
            "scopes": scopes,
            "models": [model.pk for model in left.models],
            "ends_at": localtime(left.ends_at),
            "requests_per_minute": left.requests_per_minute,
            "tokens_per_minute": left.tokens_per_minute,
            "budget": dollars(left.budget_micro_usd),
        }
        self.initial = {**first, **self.initial}


def agreed_part(request: AccessRequest, values: dict[str, Any]) -> dict[str, Any]:
    """What `approve_request` takes of the form's values. The minute of the end that is left is that end."""
    ends_at, left = values["ends_at"], left_of(request).ends_at
    return {
        "models": [model for model in values["models"] if model.kind in values["scopes"]],
        "ends_at": None if ends_at == left.replace(second=0, microsecond=0) else ends_at,
        "requests_per_minute": values["requests_per_minute"],
        "tokens_per_minute": values["tokens_per_minute"],
        "budget_micro_usd": micro_usd_of(values["budget"]),
    }


class ApproveAsAskedForm(ActForm):
    id_prefix = "approve"
    reason = _reason(required=False)


class DenyForm(ActForm):
    id_prefix = "deny"
    reason = _reason(required=True)


class CommentForm(ActForm):
    id_prefix = "comment"
    text = forms.CharField(
        label=gettext_lazy("Comment"),
        max_length=COMMENT_MAX,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("The team is told by e-mail."),
    )
