"""The forms of a decision on a request."""

from typing import Any

from django import forms
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy

from accounts.admin.acts import ActForm, moment_field
from models_registry.models import AiModel, ModelKind
from models_registry.models.requests import COMMENT_MAX, REASON_MAX


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
    reason = _reason(required=False)

    def prepare(self) -> None:
        choice = self.fields["models"]
        if isinstance(choice, ModelChoice):
            asked = AiModel.objects.filter(requested_models__request=self.subject)
            choice.queryset = asked.order_by("name")
        asked_scopes = [one for one in ModelKind.choices if one[0] in self.subject.scopes]
        kinds = self.fields["scopes"]
        if isinstance(kinds, forms.MultipleChoiceField):
            kinds.choices = asked_scopes
        self.initial.setdefault("scopes", self.subject.scopes)
        named = self.subject.requested_models.all()
        self.initial.setdefault("models", [one.model_id for one in named])
        self.initial.setdefault("ends_at", localtime(self.subject.wanted_until))
        self.initial.setdefault("requests_per_minute", self.subject.requests_per_minute)
        self.initial.setdefault("tokens_per_minute", self.subject.tokens_per_minute)


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
