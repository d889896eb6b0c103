"""Named writes as pages of the admin: each act is a form, and the write that it calls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.widgets import Input
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    CHECKBOX_CLASSES,
    INPUT_CLASSES,
    RADIO_CLASSES,
    SELECT_CLASSES,
    TEXTAREA_CLASSES,
)

from accounts.models import User
from accounts.roles import PortalRight

# A subclass stands before the class it comes from.
_CLASSES: tuple[tuple[type[forms.Widget], list[str]], ...] = (
    (forms.CheckboxSelectMultiple, CHECKBOX_CLASSES),
    (forms.RadioSelect, RADIO_CLASSES),
    (forms.CheckboxInput, CHECKBOX_CLASSES),
    (forms.Textarea, TEXTAREA_CLASSES),
    (forms.Select, SELECT_CLASSES),
    (Input, INPUT_CLASSES),
)
REASON_MAX = 500


class ActForm(forms.Form):
    """The values of an act. Without fields of its own it asks for a confirmation alone.

    subject: what it is done to; None where something is made.
    person: who does it.
    id_prefix: keeps the fields of several forms on one page apart.
    """

    id_prefix = "act"

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        subject: Any = None,
        person: User,
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(data, initial=dict(initial or {}), auto_id=f"id_{self.id_prefix}_%s")
        self.subject, self.person = subject, person
        self.prepare()
        for field in self.fields.values():
            _dress(field.widget)

    def prepare(self) -> None:
        """Fill in choices and first values from the subject."""

    def add_write_errors(self, error: ValidationError) -> None:
        """Show what the write refused: at its field where the form has it, else above all of them."""
        if not hasattr(error, "error_dict"):
            self.add_error(None, error)
            return
        for name, errors in error.error_dict.items():
            self.add_error(name if name in self.fields else None, _texts(errors))


class ReasonForm(ActForm):
    reason = forms.CharField(
        max_length=REASON_MAX,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("It is kept in the audit trail: name no person and no secret."),
    )


Write = Callable[[Any, User, dict[str, Any]], Any]


def always(subject: Any) -> bool:
    return True


@dataclass(frozen=True)
class Act:
    """One thing that can be done to an object, or that makes one.

    name: its part of the address.
    write: called with the subject, the person who acts and the form's values; returns what it made, if anything.
    done: the sentence shown afterwards.
    shows: whether the subject's page offers it.
    is_bulk: whether it is offered for several at once; the form's values then count for each of them.
    is_listed: whether the subject's page shows its button.
    right: what somebody has to hold to do it; the part's own `right` where it names none.
    """

    name: str
    label: "str | Promise"
    write: Write
    done: "str | Promise"
    form: type[ActForm] = ActForm
    shows: Callable[[Any], bool] = always
    warning: "str | Promise" = ""
    is_danger: bool = False
    is_bulk: bool = False
    is_listed: bool = True
    right: PortalRight | None = None


def moment_field(**options: Any) -> forms.DateTimeField:
    """A time in UTC, to the minute."""
    picker = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    return forms.DateTimeField(widget=picker, **options)


def _dress(widget: forms.Widget) -> None:
    """Give a widget the look of the theme, which dresses only the fields of models by itself."""
    for kind, classes in _CLASSES:
        if isinstance(widget, kind):
            widget.attrs["class"] = " ".join(classes)
            return


def _texts(errors: list[ValidationError]) -> list[str]:
    return [text for error in errors for text in error.messages]
