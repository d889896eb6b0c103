"""Claims of a rule as text: one a line, a name, an equals sign, and its values parted by commas."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _


class ClaimsField(forms.CharField):
    """Cleans to claims as a rule keeps them; what they may not be, the write refuses."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            label=_("Claims"),
            required=False,
            max_length=5000,
            widget=forms.Textarea(
                attrs={
                    "rows": 3,
                    "spellcheck": "false",
                    "placeholder": "environment = production, staging",
                }
            ),
            help_text=_(
                "One a line: a claim, or a JSON pointer such as /kubernetes.io/namespace, then = and the values "
                "of which it has to be one. All lines have to hold."
            ),
            **options,
        )

    def clean(self, value: Any) -> Any:
        return [_read(line) for line in super().clean(value).splitlines() if line.strip()]


def claims_text(claims: Sequence[dict[str, Any]]) -> str:
    return "\n".join(f"{one['claim']} = {', '.join(one['one_of'])}" for one in claims)


def _read(line: str) -> dict[str, Any]:
    name, equals, values = line.partition("=")
    if not equals:
        raise forms.ValidationError(_("Write each line as a claim, = and its values."))
    return {
        "claim": name.strip(),
        "one_of": [value.strip() for value in values.split(",") if value.strip()],
    }
