from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ActForm, ReasonForm, moment_field
from accounts.admin.base import PortalAdmin
from accounts.admin.bounds import NetworksField
from accounts.admin.cells import Cell, code, link_to, moment
from accounts.admin.lists import RelatedFilter
from accounts.admin.teams import DisabledFilter, disabled_facts, state_of
from accounts.audit import acting
from accounts.models import ServiceAccount, TrustedIssuer, TrustRule, User
from accounts.models.keys import CALL_SCOPE_CHOICES, Scope
from accounts.pages.bounds_fields import end_given
from accounts.pages.claims_field import ClaimsField, claims_text
from accounts.writes.trust_rules import (
    change_trust_rule,
    disable_trust_rule,
    enable_trust_rule,
    make_trust_rule,
)


class RuleForm(ActForm):
    scopes = forms.MultipleChoiceField(
        choices=CALL_SCOPE_CHOICES, widget=forms.CheckboxSelectMultiple
    )
    networks = NetworksField()
    expires_at = moment_field(required=False, label=gettext_lazy("Ends"))

    def prepare(self) -> None:
        if self.subject is not None:
            self.initial.setdefault("scopes", self.subject.scopes)
            self.initial.setdefault("networks", "\n".join(self.subject.networks))
            self.initial.setdefault("expires_at", self.subject.expires_at)


class NewRuleForm(RuleForm):
    service_account = forms.ModelChoiceField(
        ServiceAccount.objects.filter(disabled_at=None)
        .select_related("team")
        .order_by("team__name", "name")
    )
    issuer = forms.ModelChoiceField(TrustedIssuer.objects.order_by("name"))
    name = forms.CharField(max_length=100)
    subject_pattern = forms.CharField(
        max_length=500,
        label=gettext_lazy("Subject"),
        help_text=gettext_lazy(
            "Whole, or a beginning that ends in :* or /* after two named parts, such as repo:acme/*."
        ),
    )
    audience = forms.CharField(
        max_length=300, required=False, help_text=gettext_lazy("Empty: any of the issuer's.")
    )
    claims = ClaimsField()
    field_order = ("service_account", "issuer", "name", "subject_pattern", "audience", "claims")

    def prepare(self) -> None:
        super().prepare()
        self.fields["service_account"].label_from_instance = lambda one: f"{one.team} · {one}"  # type: ignore[attr-defined]


def _make(nothing: None, actor: User, values: dict[str, Any]) -> TrustRule:
    facts = dict(values)
    account = facts.pop("service_account")
    return make_trust_rule(
        account.team,
        service_account=account,
        subject=facts.pop("subject_pattern"),
        scopes=[Scope(scope) for scope in facts.pop("scopes")],
        actor=acting(actor),
        **facts,
    )


def _change(rule: TrustRule, actor: User, values: dict[str, Any]) -> None:
    scopes = [Scope(scope) for scope in values["scopes"]]
    change_trust_rule(
        rule,
        actor=acting(actor),
        scopes=scopes,
        networks=values["networks"],
        expires_at=end_given(values["expires_at"], was=rule.expires_at),
    )


def _disable(rule: TrustRule, actor: User, values: dict[str, Any]) -> None:
    disable_trust_rule(rule, actor=acting(actor), reason=values["reason"])


def _enable(rule: TrustRule, actor: User, values: dict[str, Any]) -> None:
    enable_trust_rule(rule, actor=acting(actor), by_administrator=True)


@admin.register(TrustRule)
class RuleAdmin(PortalAdmin):
    """Which workloads' tokens stand for which service account. What a rule matches never changes."""

    list_display = ("name", "team", "issuer", "subject", "state", "ends")
    list_filter = (DisabledFilter, ("team", RelatedFilter), ("issuer", RelatedFilter))
    list_select_related = ("team", "issuer")
    search_fields = ("name", "subject", "team__name", "issuer__name")
    search_help_text = gettext_lazy("Name, subject, team or issuer")
    ordering = ("-id",)
    add_act = Act(
        "add", gettext_lazy("Make rule"), _make, gettext_lazy("The rule is made."), NewRuleForm
    )
    acts = (
        Act(
            "change",
            gettext_lazy("Change how far it goes"),
            _change,
            gettext_lazy("The rule is changed."),
            RuleForm,
        ),
        Act(
            "disable",
            gettext_lazy("Disable"),
            _disable,
            gettext_lazy("The rule's tokens are refused from now on."),
            ReasonForm,
            shows=lambda rule: not rule.is_held_by_administrator,
            warning=gettext_lazy("Its tokens are refused, and calls that run by them are cut."),
            is_danger=True,
        ),
        Act(
            "enable",
            gettext_lazy("Enable"),
            _enable,
            gettext_lazy("The rule's tokens may call again."),
            shows=lambda rule: rule.disabled_at is not None,
        ),
    )

    @display(description=gettext_lazy("state"), ordering="disabled_at")
    def state(self, rule: TrustRule) -> SafeString:
        return state_of(rule.disabled_at)

    @display(description=gettext_lazy("ends"), ordering="expires_at")
    def ends(self, rule: TrustRule) -> Cell:
        return moment(rule.expires_at)

    def facts(self, found: TrustRule) -> list[tuple[str, Cell]]:
        maker = User.objects.filter(pk=found.created_by).first() if found.created_by else None
        return [
            (_("Name"), found.name),
            (_("Team"), link_to(found.team)),
            (_("Service account"), link_to(found.service_account)),
            (_("Issuer"), link_to(found.issuer)),
            (_("Subject"), code(found.subject)),
            (_("Audience"), found.audience or _("Any of the issuer's")),
            (_("Claims"), claims_text(found.claims)),
            (_("Scopes"), ", ".join(found.scopes)),
            (_("Networks"), ", ".join(found.networks) or _("Any")),
            (_("State"), self.state(found)),
            *disabled_facts(found),
            (_("Ends"), moment(found.expires_at)),
            (_("Made"), moment(found.created_at)),
            (_("Made by"), link_to(maker)),
        ]
