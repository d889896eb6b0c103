"""The forms of a model's acts."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.postgres.forms import SimpleArrayField
from django.utils.translation import gettext_lazy

from accounts.admin.acts import ActForm, moment_field
from accounts.models import Team
from models_registry.limit_amounts import MICRO
from models_registry.models import (
    DataClass,
    HangUp,
    ModelKind,
    OutputCapMember,
    Provider,
    Visibility,
)

PRICE = gettext_lazy("In US dollars for a million tokens, as 0.15.")
AS_INPUT = gettext_lazy("In US dollars for a million tokens. Empty: as input.")
AS_OUTPUT = gettext_lazy("In US dollars for a million tokens. Empty: as output.")
_BIG = 2**63 - 1
_INTEGER = 2**31 - 1


class PriceField(forms.DecimalField):
    """A price for a million tokens, entered in dollars. Cleans to whole micro-USD, or None where it is empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=0, max_value=Decimal(_BIG) / MICRO, decimal_places=6, **options)

    def prepare_value(self, value: Any) -> Any:
        return f"{Decimal(value) / MICRO:f}" if isinstance(value, int) else value

    def clean(self, value: Any) -> Any:
        dollars = super().clean(value)
        return None if dollars is None else int(dollars * MICRO)


class ModelForm(ActForm):
    """A model's facts; prices count for calls admitted from then on."""

    description = forms.CharField(
        max_length=5000, required=False, widget=forms.Textarea(attrs={"rows": 4})
    )
    owner = forms.ModelChoiceField(
        Team.objects.order_by("name"), required=False, empty_label=gettext_lazy("No team")
    )
    data_class = forms.ChoiceField(
        choices=DataClass.choices,
        initial=DataClass.INTERNAL,
        help_text=gettext_lazy("The most sensitive data it may be sent."),
    )
    visibility = forms.ChoiceField(
        choices=Visibility.choices,
        initial=Visibility.EVERYONE,
        help_text=gettext_lazy("Who sees it in the catalogue."),
    )
    context_tokens = forms.IntegerField(min_value=1, max_value=_INTEGER)
    max_output_tokens = forms.IntegerField(
        min_value=0,
        max_value=_INTEGER,
        initial=0,
        help_text=gettext_lazy("0 for a model without text answers."),
    )
    tokens_per_byte = forms.FloatField(
        min_value=0.05,
        initial=1.0,
        help_text=gettext_lazy(
            "The most tokens a byte of the body can become; 1 is safe for every tokenizer."
        ),
    )
    price_input = PriceField(initial=0, help_text=PRICE)
    price_cached_input = PriceField(initial=0, help_text=PRICE)
    price_output = PriceField(initial=0, help_text=PRICE)
    price_reasoning = PriceField(required=False, help_text=AS_OUTPUT)
    price_audio_input = PriceField(required=False, help_text=AS_INPUT)
    price_audio_output = PriceField(required=False, help_text=AS_OUTPUT)
    extra_members = SimpleArrayField(
        forms.CharField(max_length=60),
        required=False,
        max_length=50,
        help_text=gettext_lazy(
            "Names of further members of a request's body that are let through, parted by commas."
        ),
    )
    output_cap_member = forms.ChoiceField(
        choices=OutputCapMember.choices, initial=OutputCapMember.MAX_TOKENS
    )
    hang_up = forms.ChoiceField(
        choices=HangUp.choices,
        initial=HangUp.CLOSE,
        help_text=gettext_lazy("What a caller's hang-up does to a stream."),
    )

    def prepare(self) -> None:
        if self.subject is not None:
            for name in self.fields:
                self.initial.setdefault(name, getattr(self.subject, name))


class NewModelForm(ModelForm):
    name = forms.CharField(
        max_length=120, help_text=gettext_lazy("The name that callers use. It stays as it is.")
    )
    kind = forms.ChoiceField(choices=ModelKind.choices)
    field_order = ("name", "kind")


class DeploymentForm(ActForm):
    provider = forms.ModelChoiceField(Provider.objects.order_by("name"))
    upstream_name = forms.CharField(
        label=gettext_lazy("Name at the provider"),
        max_length=200,
        help_text=gettext_lazy("The provider's own name for it."),
    )
    position = forms.IntegerField(
        min_value=0, max_value=32767, initial=0, help_text=gettext_lazy("The lowest is used first.")
    )

    def prepare(self) -> None:
        self.initial.setdefault("upstream_name", self.subject.name)


class SunsetForm(ActForm):
    sunset_at = moment_field(
        required=False,
        label=gettext_lazy("Ends at (UTC)"),
        help_text=gettext_lazy(
            "Callers see it in the Sunset header. Leave it empty where it is not known yet."
        ),
    )


def facts_of(values: dict[str, Any]) -> dict[str, Any]:
    """The values that are facts of a model."""
    return {name: values[name] for name in ModelForm.base_fields if name in values}
