"""The forms of the catalogue and of access requests."""

from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.access import teams_of
from accounts.models import ServiceAccount, User
from accounts.models.keys import Scope
from accounts.roles import Right
from models_registry.access import live_grants_of, models_seen_by, requests_seen_by
from models_registry.limit_amounts import budget_field, micro_usd_of
from models_registry.models import (
    AccessRequest,
    AiModel,
    DataClass,
    ModelKind,
    ModelStatus,
    RequestStatus,
)
from models_registry.models.requests import COMMENT_MAX, JUSTIFICATION_MAX
from models_registry.pages.fields import ForWhomField, LastDayField, LimitField
from models_registry.step_access import requests_waiting_for
from models_registry.writes.request_terms import DAYS_MAX

SEARCH_MAX = 100
SHOWN_MAX = 200
_ANY = [("", _("All"))]
_OFFERED_CHOICES = [
    (ModelStatus.PUBLISHED.value, ModelStatus.PUBLISHED.label),
    (ModelStatus.DEPRECATED.value, ModelStatus.DEPRECATED.label),
]


class CatalogueFilters(forms.Form):
    """What of the catalogue is shown. A filter that makes no sense says so and filters nothing."""

    q = forms.CharField(
        label=_("Search"),
        max_length=SEARCH_MAX,
        required=False,
        widget=forms.SearchInput(attrs={"placeholder": _("Name or description")}),
    )
    kind = forms.ChoiceField(label=_("Kind"), choices=[*_ANY, *ModelKind.choices], required=False)
    data_class = forms.ChoiceField(
        label=_("Data class"), choices=[*_ANY, *DataClass.choices], required=False
    )
    status = forms.ChoiceField(
        label=_("Status"), choices=[*_ANY, *_OFFERED_CHOICES], required=False
    )
    usable = forms.BooleanField(label=_("Only what my teams may use"), required=False)

    def chosen(self, person: User) -> QuerySet[AiModel]:
        """The models that the person sees and asked for."""
        self.is_valid()
        models, asked = models_seen_by(person), self.cleaned_data
        for name in ("kind", "data_class", "status"):
            if asked.get(name):
                models = models.filter(**{name: asked[name]})
        if asked.get("q"):
            # Django escapes % and _ for LIKE.
            models = models.filter(
                Q(name__icontains=asked["q"]) | Q(description__icontains=asked["q"])
            )
        if asked.get("usable"):
            models = models.filter(pk__in=live_grants_of(person).values("model_id"))
        return models


class AskForm(forms.Form):
    """Asking for a model, and for others along with it."""

    justification = forms.CharField(
        label=_("What for?"),
        help_text=_("Who uses it, for what, and with which data. Whoever decides reads this."),
        max_length=JUSTIFICATION_MAX,
        widget=forms.Textarea(attrs={"rows": 5}),
    )

    def __init__(self, *args: Any, person: User, model: AiModel, **options: Any) -> None:
        super().__init__(*args, **options)
        self.model = model
        others = list(models_seen_by(person).exclude(pk=model.pk)[:SHOWN_MAX])
        self.by_name = {other.name: other for other in others}
        self.fields["others"] = forms.MultipleChoiceField(
            label=_("Other models"),
            help_text=_("Ask for several at once where they serve the same purpose."),
            choices=[(name, name) for name in self.by_name],
            required=False,
            widget=forms.CheckboxSelectMultiple,
        )
        kinds = {one.kind for one in (model, *others)}
        self.fields["scopes"] = forms.MultipleChoiceField(
            label=_("Kinds of call"),
            help_text=_("None ticked: every kind by which these models are called."),
            choices=[choice for choice in ModelKind.choices if choice[0] in kinds],
            required=False,
            widget=forms.CheckboxSelectMultiple,
        )
        teams = list(teams_of(person, right=Right.ASK_FOR_ACCESS)[:SHOWN_MAX])
        accounts = ServiceAccount.objects.filter(team__in=teams, disabled_at=None)
        self.fields["for_whom"] = ForWhomField(
            label=_("For whom?"),
            help_text=_("A whole team with all its keys, or one application alone."),
            teams=teams,
            accounts=accounts.select_related("team").order_by("name")[:SHOWN_MAX],
            itself=gettext("%(team)s, the whole team"),
        )
        self.fields["wanted_until"] = LastDayField(
            label=_("Until"),
            help_text=_("The last day, at most a year ahead."),
            days_max=DAYS_MAX - 1,
            days_ahead=90,
        )
        for name, label in (
            ("requests_per_minute", _("Calls a minute")),
            ("tokens_per_minute", _("Tokens a minute")),
        ):
            self.fields[name] = LimitField(
                label=label, help_text=_("Empty: no limit beside those of the keys.")
            )
        self.fields["budget"] = budget_field()
        self.fields["data_class"] = forms.ChoiceField(
            label=_("Most sensitive data"),
            help_text=_("That you will send. Who has to agree may depend on it."),
            choices=[("", _("The most that these models may be sent")), *DataClass.choices],
            required=False,
        )

    def facts(self) -> dict[str, Any]:
        """What `ask_for_access` takes, from a form that is valid."""
        asked = self.cleaned_data
        models = [self.model, *(self.by_name[name] for name in asked["others"])]
        team, account = asked["for_whom"]
        return {
            "team": team,
            "service_account": account,
            "models": models,
            "scopes": [Scope(scope) for scope in asked["scopes"]] or None,
            "justification": asked["justification"],
            "wanted_until": asked["wanted_until"],
            "requests_per_minute": asked["requests_per_minute"],
            "tokens_per_minute": asked["tokens_per_minute"],
            "budget_micro_usd": micro_usd_of(asked["budget"]),
            "data_class": DataClass(asked["data_class"]) if asked["data_class"] else None,
        }


class RequestFilters(forms.Form):
    """What of the requests is shown. A filter that makes no sense filters nothing."""

    status = forms.ChoiceField(choices=[*_ANY, *RequestStatus.choices], required=False)
    mine = forms.BooleanField(required=False)
    waiting = forms.BooleanField(required=False)

    def chosen(self, person: User) -> QuerySet[AccessRequest]:
        """The requests that the person's teams made, or the person alone; or those that wait for the person, of any team."""
        self.is_valid()
        if self.cleaned_data.get("waiting"):
            return requests_waiting_for(person).select_related(
                "team", "service_account", "requested_by"
            )
        requests = requests_seen_by(person)
        if self.cleaned_data.get("status"):
            requests = requests.filter(status=self.cleaned_data["status"])
        if self.cleaned_data.get("mine"):
            requests = requests.filter(requested_by=person)
        return requests


class CommentForm(forms.Form):
    text = forms.CharField(
        label=_("Comment"), max_length=COMMENT_MAX, widget=forms.Textarea(attrs={"rows": 3})
    )
