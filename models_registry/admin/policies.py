"""Approval policies: written as versions, tried on the past, and switched on and off."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ActForm, ReasonForm
from accounts.admin.base import PortalAdmin
from accounts.admin.cells import NOTHING, Cell, Table, link_to, moment, pill, text
from accounts.audit import acting
from accounts.models import Proposal, Team, User
from accounts.roles import PortalRight
from models_registry.limit_amounts import AmountField, dollars, micro_usd_of
from models_registry.models import AiModel, ApprovalPolicy, DataClass, PolicyVersion
from models_registry.policy_text import TEXT_MAX, steps_from, text_of_version
from models_registry.policy_trial import Outcome, outcomes_of, try_version, words_of
from models_registry.policy_words import conditions_of
from models_registry.step_words import who_agrees
from models_registry.two_person_policies import ask_to_switch
from models_registry.writes.policies import add_version, make_policy

VERSIONS_SHOWN = 50
TRIED_SHOWN = 50
_TONES = {Outcome.SAME: "quiet", Outcome.OTHER: "ok", Outcome.AUTOMATIC: "warn"}


class VersionForm(ActForm):
    """What a version says; a new one begins with what the last one said."""

    models = forms.ModelMultipleChoiceField(
        AiModel.objects.order_by("name"),
        required=False,
        help_text=gettext_lazy("None chosen: all."),
    )
    data_classes = forms.MultipleChoiceField(
        label=gettext_lazy("Classes of data"),
        choices=DataClass.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("That a request names. None ticked: all."),
    )
    teams = forms.ModelMultipleChoiceField(
        Team.objects.order_by("name"),
        required=False,
        help_text=gettext_lazy("That ask. None chosen: all."),
    )
    budget_over = AmountField(
        label=gettext_lazy("Budget a month of more than, in US dollars"),
        required=False,
        help_text=gettext_lazy("A request that names no budget asks for more than any."),
    )
    budget_up_to = AmountField(
        label=gettext_lazy("Budget a month of at most, in US dollars"), required=False
    )
    steps = forms.CharField(
        max_length=TEXT_MAX,
        required=False,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        help_text=gettext_lazy(
            "One a line: stage, who (deciders, owner, manager, security, group:SLUG), and where needed how many, when to "
            "remind, and what to do when it is late (remind, escalate, deny), in hours. As: 1 group:finance x2 remind 24 "
            "due 48 escalate. No line: nobody has to agree, and requests are approved at once."
        ),
    )

    def prepare(self) -> None:
        last = None
        if self.subject is not None:
            last = self.subject.versions.order_by("-number").first()
        if last is not None:
            self.initial = {**_entered(last), **self.initial}

    def clean_steps(self) -> Any:
        return steps_from(self.cleaned_data["steps"])


class NewPolicyForm(VersionForm):
    name = forms.CharField(max_length=100)
    field_order = ("name",)


class SwitchForm(ReasonForm):
    """Which version counts from now on."""

    version = forms.ChoiceField()
    field_order = ("version", "reason")

    def prepare(self) -> None:
        versions = self.subject.versions.order_by("-number")[:VERSIONS_SHOWN]
        field = self.fields["version"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [(str(one.number), one.number) for one in versions]


def _entered(version: PolicyVersion) -> dict[str, Any]:
    return {
        "models": version.model_ids,
        "data_classes": version.data_classes,
        "teams": version.team_ids,
        "budget_over": dollars(version.budget_over),
        "budget_up_to": dollars(version.budget_up_to),
        "steps": text_of_version(version),
    }


def _add_version(policy: ApprovalPolicy, actor: User, values: dict[str, Any]) -> None:
    add_version(
        policy,
        steps=values["steps"],
        model_ids=[model.pk for model in values["models"]],
        data_classes=[DataClass(one) for one in values["data_classes"]],
        team_ids=[team.pk for team in values["teams"]],
        budget_over=micro_usd_of(values["budget_over"]),
        budget_up_to=micro_usd_of(values["budget_up_to"]),
        actor=acting(actor),
    )


def _make(nothing: None, actor: User, values: dict[str, Any]) -> ApprovalPolicy:
    policy = make_policy(values["name"], actor=acting(actor))
    _add_version(policy, actor, values)
    return policy


def _switch_on(policy: ApprovalPolicy, actor: User, values: dict[str, Any]) -> Proposal | None:
    version = policy.versions.filter(number=values["version"]).first()
    if version is None:
        raise ValidationError({"version": _("There is no such version.")})
    return ask_to_switch(policy, version, by=actor, why=values["reason"])


def _switch_off(policy: ApprovalPolicy, actor: User, values: dict[str, Any]) -> Proposal | None:
    return ask_to_switch(policy, None, by=actor, why=values["reason"])


def is_on(policy: ApprovalPolicy) -> bool:
    return policy.in_force_id is not None


@admin.register(ApprovalPolicy)
class ApprovalPolicyAdmin(PortalAdmin):
    """Who has to agree to which requests. A change by which a request could need less takes two people."""

    sees = PortalRight.SEE_REGISTRY
    right = PortalRight.MANAGE_GRANTS
    list_display = ("name", "state", "asks_for", "made")
    list_select_related = ("in_force",)
    search_fields = ("name",)
    search_help_text = gettext_lazy("Name")
    ordering = ("name",)
    add_act = Act(
        "add",
        gettext_lazy("Add policy"),
        _make,
        gettext_lazy("The policy is there, and switched off so far."),
        NewPolicyForm,
    )
    acts = (
        Act(
            "new-version",
            gettext_lazy("Write a version"),
            _add_version,
            gettext_lazy("The version is there. It counts once it is switched on."),
            VersionForm,
        ),
        Act(
            "switch-on",
            gettext_lazy("Switch on"),
            _switch_on,
            gettext_lazy("It counts for requests from now on."),
            SwitchForm,
            warning=gettext_lazy(
                "Requests that were made before keep what they needed. A second person has to confirm it where a request "
                "could need less by it."
            ),
        ),
        Act(
            "switch-off",
            gettext_lazy("Switch off"),
            _switch_off,
            gettext_lazy("It says nothing of requests from now on."),
            ReasonForm,
            shows=is_on,
            is_danger=True,
            warning=gettext_lazy(
                "Requests that were made before keep what they needed. A second person has to confirm it where a request "
                "could need less by it."
            ),
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApprovalPolicy]:
        policies: QuerySet[ApprovalPolicy] = super().get_queryset(request)
        return policies.select_related("in_force").prefetch_related("in_force__steps__team")

    @display(description=gettext_lazy("state"), ordering="in_force")
    def state(self, policy: ApprovalPolicy) -> SafeString:
        if policy.in_force is None:
            return pill(_("off"), "quiet")
        return pill(_("version %(number)s is on") % {"number": policy.in_force.number}, "ok")

    @display(description=gettext_lazy("asks for"))
    def asks_for(self, policy: ApprovalPolicy) -> str:
        if policy.in_force is None:
            return NOTHING
        steps = [who_agrees(step) for step in policy.in_force.steps.all()]
        return "; ".join(steps) or _("nobody has to agree")

    @display(description=gettext_lazy("made"), ordering="created_at")
    def made(self, policy: ApprovalPolicy) -> Cell:
        return moment(policy.created_at)

    def facts(self, found: ApprovalPolicy) -> list[tuple[str, Cell]]:
        return [
            (_("Name"), found.name),
            (_("State"), self.state(found)),
            (_("Asks for"), self.asks_for(found)),
            (_("Made"), moment(found.created_at)),
        ]

    def tables(self, found: ApprovalPolicy) -> list[Table]:
        versions = found.versions.select_related("made_by").prefetch_related("steps__team")
        return [
            Table(
                _("Versions"),
                [_("Version"), _("Counts for"), _("Steps"), _("Written"), _("By")],
                [
                    [
                        pill(str(one.number), "ok" if one.pk == found.in_force_id else "quiet"),
                        conditions_of(one),
                        text(_steps(one)),
                        moment(one.created_at),
                        link_to(one.made_by),
                    ]
                    for one in versions.order_by("-number")[:VERSIONS_SHOWN]
                ],
                empty=_("Nothing is written down yet."),
            ),
            *_trial(found),
        ]


def _trial(policy: ApprovalPolicy) -> list[Table]:
    """What the latest version would have asked of last month's requests, where it does not count already."""
    latest = policy.versions.order_by("-number").first()
    if latest is None or latest.pk == policy.in_force_id:
        return []
    tried = try_version(latest)
    counts, number = outcomes_of(tried), {"number": latest.number}
    shown = tried[:TRIED_SHOWN]
    return [
        Table(
            _("Version %(number)s on the requests of the last 30 days") % number,
            [_("Request"), _("Asked"), _("Became"), _("As things are"), _("With it")],
            [
                [
                    one.request.team.name,
                    moment(one.request.created_at),
                    one.request.get_status_display(),
                    "; ".join(now) or _("nobody has to agree"),
                    pill("; ".join(then) or _("nobody has to agree"), _TONES[one.outcome]),
                ]
                for one, (now, then) in zip(shown, words_of(shown), strict=True)
            ],
            empty=_("Nobody asked for anything in that time."),
            notes=[
                _("Approved at once: %(automatic)s. Other steps: %(other)s. As now: %(same)s.")
                % {outcome.value: counts[outcome] for outcome in Outcome}
            ],
        )
    ]


def _steps(version: PolicyVersion) -> str:
    return text_of_version(version) or _("nobody has to agree")
