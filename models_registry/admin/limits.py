from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ActForm, ReasonForm
from accounts.admin.base import PortalAdmin, show_also
from accounts.admin.cells import Cell, Table, link_to, list_of, moment, pill
from accounts.admin.lists import ChoiceFilter, RelatedFilter
from accounts.audit import acting
from accounts.models import ApiKey, Proposal, ServiceAccount, Team, User
from accounts.roles import PortalRight
from models_registry.limit_access import all_limits
from models_registry.limit_amounts import (
    AmountField,
    PercentsField,
    counted_facts,
    entered_facts,
)
from models_registry.limit_standings import standings_of
from models_registry.limit_words import (
    MEASURE_CHOICES,
    PERIOD_CHOICES,
    amount_text,
    limit_text,
)
from models_registry.models import AiModel, Limit, LimitMeasure, LimitPeriod, SubjectKind
from models_registry.models.limits import of_kind
from models_registry.two_person_limits import ask_to_remove
from models_registry.writes.limits import (
    Subject,
    bounds_everybody,
    change_limit,
    remove_limit,
    set_limit,
)

SHOWN_MAX = 20


class SubjectFilter(ChoiceFilter):
    title = gettext_lazy("of")
    parameter_name = "of"

    def choices_for(self, request: HttpRequest) -> list[tuple[str, str]]:
        return [(kind.value, kind.value.replace("_", " ")) for kind in SubjectKind]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Limit]) -> QuerySet[Limit]:
        chosen = self.chosen()
        return queryset if chosen is None else queryset.filter(of_kind(SubjectKind(chosen)))


class MeasureFilter(ChoiceFilter):
    title = gettext_lazy("measure")
    parameter_name = "measure"

    def choices_for(self, request: HttpRequest) -> list[tuple[str, str]]:
        return MEASURE_CHOICES

    def queryset(self, request: HttpRequest, queryset: QuerySet[Limit]) -> QuerySet[Limit]:
        chosen = self.chosen()
        return queryset if chosen is None else queryset.filter(measure=chosen)


class LimitForm(ActForm):
    """What a limit can be changed in."""

    amount = AmountField(
        help_text=gettext_lazy(
            "Calls or tokens in whole numbers; money in US dollars, as 50 or 0.25."
        )
    )
    zone = forms.CharField(
        label=gettext_lazy("Time zone"),
        max_length=64,
        required=False,
        help_text=gettext_lazy(
            "Of a calendar's day, week or month, as Europe/Berlin; UTC unless given."
        ),
    )
    is_soft = forms.BooleanField(
        label=gettext_lazy("Soft: refuse nothing, only tell"),
        required=False,
        help_text=gettext_lazy("For periods of an hour or more."),
    )
    alert_percents = PercentsField(
        label=gettext_lazy("Alerts at percent"),
        help_text=gettext_lazy(
            "As 80, 100. Owners and managers of the team, and whoever set it, are told."
        ),
    )

    def prepare(self) -> None:
        if self.subject is not None:
            self.initial = {**entered_facts(self.subject), **self.initial}


class NewLimitForm(LimitForm):
    team = forms.ModelChoiceField(
        Team.objects.order_by("name"),
        required=False,
        help_text=gettext_lazy(
            "Alone: all its keys. With a model: its calls of that model. With a person: that member."
        ),
    )
    model = forms.ModelChoiceField(
        AiModel.objects.order_by("name"),
        required=False,
        help_text=gettext_lazy("Alone: everybody's calls of it."),
    )
    service_account = forms.ModelChoiceField(
        ServiceAccount.objects.select_related("team").order_by("name"), required=False
    )
    email = forms.CharField(
        label=gettext_lazy("Person's e-mail address"),
        max_length=254,
        required=False,
        help_text=gettext_lazy("Alone: all their keys, in all their teams."),
    )
    key = forms.CharField(
        label=gettext_lazy("API key"),
        max_length=16,
        required=False,
        help_text=gettext_lazy(
            "The part that may be shown: what stands between lk_ and the next _."
        ),
    )
    measure = forms.ChoiceField(choices=MEASURE_CHOICES)
    period = forms.ChoiceField(choices=PERIOD_CHOICES)
    field_order = (
        "team", "model", "service_account", "email", "key",
        "measure", "period", "amount", "zone", "is_soft", "alert_percents",
    )  # fmt: skip

    def clean_email(self) -> User | None:
        email = self.cleaned_data["email"].strip()
        found = User.objects.filter(email__iexact=email).first() if email else None
        if email and found is None:
            raise forms.ValidationError(_("Nobody has this address."))
        return found

    def clean_key(self) -> ApiKey | None:
        public_id = self.cleaned_data["key"].strip()
        found = ApiKey.objects.filter(public_id=public_id).first() if public_id else None
        if public_id and found is None:
            raise forms.ValidationError(_("No key bears this."))
        return found


def _set(nothing: None, actor: User, values: dict[str, Any]) -> Limit:
    measure = LimitMeasure(values["measure"])
    subject = Subject(
        key=values["key"],
        service_account=values["service_account"],
        person=values["email"],
        team=values["team"],
        model=values["model"],
    )
    return set_limit(
        subject,
        measure=measure,
        period=LimitPeriod(values["period"]),
        **counted_facts(values, measure=measure),
        actor=acting(actor),
    )


def _change(limit: Limit, actor: User, values: dict[str, Any]) -> None:
    change_limit(limit, **counted_facts(values, measure=limit.measure), actor=acting(actor))


def _remove(limit: Limit, actor: User, values: dict[str, Any]) -> None:
    remove_limit(limit, actor=acting(actor))


def _propose_removal(limit: Limit, actor: User, values: dict[str, Any]) -> Proposal | None:
    return ask_to_remove(limit, by=actor, why=values["reason"])


@admin.register(Limit)
class LimitAdmin(PortalAdmin):
    """Limits and budgets of everybody and everything."""

    sees = PortalRight.SEE_REGISTRY
    right = PortalRight.MANAGE_LIMITS
    list_display = ("subject", "of", "says", "kind", "who", "changed")
    list_filter = (
        SubjectFilter,
        MeasureFilter,
        ("team", RelatedFilter),
        ("model", RelatedFilter),
    )
    search_fields = (
        "team__name", "service_account__name", "model__name", "person__email", "key__public_id", "key__name",
    )  # fmt: skip
    search_help_text = gettext_lazy("Team, service account, model, person or key")
    ordering = ("-created_at",)
    add_act = Act(
        "add", gettext_lazy("Set limit"), _set, gettext_lazy("The limit is set."), NewLimitForm
    )
    acts = (
        Act(
            "change",
            gettext_lazy("Change"),
            _change,
            gettext_lazy("The limit is changed."),
            LimitForm,
        ),
        Act(
            "remove",
            gettext_lazy("Remove"),
            _remove,
            gettext_lazy("The limit is removed."),
            warning=gettext_lazy(
                "Within a second nothing of it holds. The limits above and below it stay."
            ),
            is_danger=True,
            shows=lambda limit: not bounds_everybody(limit),
        ),
        Act(
            "propose-removal",
            gettext_lazy("Propose to remove"),
            _propose_removal,
            gettext_lazy("The limit is removed."),
            ReasonForm,
            warning=gettext_lazy(
                "It bounds the model for everybody. A second person has to confirm that it is removed."
            ),
            is_danger=True,
            shows=bounds_everybody,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Limit]:
        return all_limits()

    @display(description=gettext_lazy("limit of"))
    def subject(self, limit: Limit) -> str:
        return subject_name(limit)

    @display(description=gettext_lazy("kind of subject"))
    def of(self, limit: Limit) -> str:
        return limit.subject_kind.value.replace("_", " ")

    @display(description=gettext_lazy("at most"))
    def says(self, limit: Limit) -> str:
        return limit_text(limit)

    @display(description=gettext_lazy("kind"), ordering="is_soft")
    def kind(self, limit: Limit) -> SafeString:
        return kind_of(limit)

    @display(description=gettext_lazy("set by"), ordering="by_administrator")
    def who(self, limit: Limit) -> str:
        if limit.by_administrator:
            return _("an administrator")
        return _("a request") if limit.subject_kind is SubjectKind.TEAM_MODEL else _("the team")

    @display(description=gettext_lazy("changed"), ordering="changed_at")
    def changed(self, limit: Limit) -> Cell:
        return moment(limit.changed_at)

    def name_of(self, found: Limit) -> str:
        facts = {"limit": limit_text(found), "subject": subject_name(found)}
        return _("%(limit)s of %(subject)s") % facts

    def facts(self, found: Limit) -> list[tuple[str, Cell]]:
        standing = standings_of([found]).get(found.pk)
        return [
            (_("At most"), limit_text(found)),
            (_("Used"), amount_text(standing.used, found.measure) if standing else None),
            (_("Held"), amount_text(standing.held, found.measure) if standing else None),
            (_("Begins anew"), moment(standing.resets_at if standing else None)),
            (_("Kind"), kind_of(found)),
            (_("API key"), link_to(found.key)),
            (_("Service account"), link_to(found.service_account)),
            (_("Person"), link_to(found.person)),
            (_("Team"), link_to(found.team)),
            (_("Model"), link_to(found.model)),
            (_("Alerts at percent"), ", ".join(map(str, found.alert_percents))),
            (_("Set by"), self.who(found)),
            (_("Person who set it"), link_to(found.set_by)),
            (_("Since"), moment(found.created_at)),
            (_("Changed"), moment(found.changed_at)),
        ]


def subject_name(limit: Limit) -> str:
    """Whose it is, by name."""
    if limit.key is not None:
        return f"{limit.key.name} ({limit.key})"
    if limit.service_account is not None:
        return limit.service_account.name
    parts = (limit.person, limit.team, limit.model)
    return ", ".join(str(part) for part in parts if part is not None)


def kind_of(limit: Limit) -> SafeString:
    return pill(_("soft"), "warn") if limit.is_soft else pill(_("hard"), "ok")


def _limits_of(**subject: Any) -> Table:
    """What limits a subject, for its page."""
    found = all_limits().filter(**subject).order_by("measure", "period")[:SHOWN_MAX]
    (name,) = subject
    return Table(
        _("Limits"),
        [_("At most"), _("Of"), _("Kind"), _("Alerts at percent")],
        [
            [
                link_to(limit, limit_text(limit)),
                subject_name(limit),
                kind_of(limit),
                ", ".join(map(str, limit.alert_percents)),
            ]
            for limit in found
        ],
        empty=_("No limit is set here. What is above may have some."),
        more=list_of(Limit, f"?{name}__id__exact={subject[name].pk}"),
    )


show_also(Team, lambda team: _limits_of(team=team), to=PortalRight.SEE_REGISTRY)
show_also(
    ServiceAccount, lambda account: _limits_of(service_account=account), to=PortalRight.SEE_REGISTRY
)
show_also(User, lambda person: _limits_of(person=person), to=PortalRight.SEE_REGISTRY)
show_also(ApiKey, lambda key: _limits_of(key=key), to=PortalRight.SEE_REGISTRY)
show_also(AiModel, lambda model: _limits_of(model=model), to=PortalRight.SEE_REGISTRY)
