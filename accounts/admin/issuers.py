from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from django.core.exceptions import ValidationError
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ActForm, ReasonForm
from accounts.admin.base import PortalAdmin
from accounts.admin.cells import NOTHING, Cell, Table, code, link_to, moment, whole
from accounts.admin.teams import DisabledFilter, state_of
from accounts.audit import acting
from accounts.models import TrustedIssuer, TrustRule, User
from accounts.models.workload import URL_MAX, KeySource, SigningAlgorithm
from accounts.writes.issuers import (
    DEFAULT_ALGORITHMS,
    add_issuer,
    change_issuer,
    disable_issuer,
    enable_issuer,
    find_keys,
    key_ids,
    pasted,
)

SHOWN_MAX = 50
_SOURCES = (
    (KeySource.DISCOVERY, gettext_lazy("The issuer's discovery document")),
    (KeySource.JWKS_URL, gettext_lazy("An address of the keys")),
    (KeySource.PASTED, gettext_lazy("Pasted here")),
)


class IssuerForm(ActForm):
    audiences = forms.CharField(
        max_length=3000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=gettext_lazy(
            "One a line, of which a token has to name one. Names that mean this portal alone."
        ),
    )
    algorithms = forms.MultipleChoiceField(
        choices=SigningAlgorithm.choices,
        initial=[one.value for one in DEFAULT_ALGORITHMS],
        widget=forms.CheckboxSelectMultiple,
    )
    max_token_age_s = forms.IntegerField(
        label=gettext_lazy("Largest age of a token, in seconds"), initial=3600
    )
    is_open_to_teams = forms.BooleanField(
        required=False, initial=True, label=gettext_lazy("Managers of teams make rules for it")
    )
    pasted_keys = forms.CharField(
        max_length=100_000,
        required=False,
        label=gettext_lazy("Pasted keys"),
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=gettext_lazy("A JWKS, where the keys are pasted."),
    )

    def clean_audiences(self) -> list[str]:
        return [line for line in self.cleaned_data["audiences"].splitlines() if line.strip()]


class NewIssuerForm(IssuerForm):
    """A new issuer. Its keys are fetched before it is saved."""

    name = forms.SlugField(max_length=60)
    issuer = forms.CharField(
        max_length=URL_MAX, help_text=gettext_lazy("The `iss` of its tokens, to the letter.")
    )
    key_source = forms.ChoiceField(choices=_SOURCES, label=gettext_lazy("Where its keys are"))
    jwks_url = forms.CharField(
        max_length=URL_MAX, required=False, label=gettext_lazy("Address of the keys")
    )
    certificate_authority = forms.CharField(
        max_length=20_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=gettext_lazy("PEM, where its address has a certificate of your own authority."),
    )
    field_order = ("name", "issuer", "key_source", "jwks_url", "pasted_keys")

    def clean(self) -> dict[str, Any]:
        values = dict(super().clean() or {})
        if not self.errors:
            try:
                values["keys"] = find_keys(
                    values["issuer"],
                    key_source=values["key_source"],
                    jwks_url=values["jwks_url"],
                    pasted_keys=values["pasted_keys"],
                    certificate_authority=values["certificate_authority"],
                )
            except ValidationError as error:
                self.add_write_errors(error)
        return values


class ChangedIssuerForm(IssuerForm):
    def prepare(self) -> None:
        for name in ("algorithms", "max_token_age_s", "is_open_to_teams"):
            self.initial.setdefault(name, getattr(self.subject, name))
        self.initial.setdefault("audiences", "\n".join(self.subject.audiences))
        if self.subject.key_source != KeySource.PASTED:
            del self.fields["pasted_keys"]
        else:
            self.fields["pasted_keys"].help_text = _("Empty keeps those there are.")


def _add(nothing: None, actor: User, values: dict[str, Any]) -> TrustedIssuer:
    facts = {name: value for name, value in values.items() if name not in {"name", "pasted_keys"}}
    return add_issuer(values["name"], actor=acting(actor), **facts)


def _change(issuer: TrustedIssuer, actor: User, values: dict[str, Any]) -> None:
    facts = dict(values)
    text = facts.pop("pasted_keys", "")
    change_issuer(issuer, actor=acting(actor), keys=pasted(text) if text else None, **facts)


def _disable(issuer: TrustedIssuer, actor: User, values: dict[str, Any]) -> None:
    disable_issuer(issuer, actor=acting(actor), reason=values["reason"])


def _enable(issuer: TrustedIssuer, actor: User, values: dict[str, Any]) -> None:
    enable_issuer(issuer, actor=acting(actor))


@admin.register(TrustedIssuer)
class IssuerAdmin(PortalAdmin):
    """Issuers whose tokens are believed. What a token is worth, rules say."""

    list_display = ("name", "issuer", "state", "fetched", "fault")
    list_filter = (DisabledFilter,)
    list_select_related = ("fetch",)
    search_fields = ("name", "issuer")
    search_help_text = gettext_lazy("Name or issuer")
    ordering = ("name",)
    add_act = Act(
        "add",
        gettext_lazy("Fetch keys and trust issuer"),
        _add,
        gettext_lazy("The issuer is trusted. Rules say what its tokens are worth."),
        NewIssuerForm,
    )
    acts = (
        Act(
            "change",
            gettext_lazy("Change"),
            _change,
            gettext_lazy("The issuer is changed."),
            ChangedIssuerForm,
        ),
        Act(
            "disable",
            gettext_lazy("Disable"),
            _disable,
            gettext_lazy("The issuer's tokens are refused from now on."),
            ReasonForm,
            shows=lambda issuer: issuer.disabled_at is None,
            warning=gettext_lazy("All its tokens are refused, and calls that run by them are cut."),
            is_danger=True,
        ),
        Act(
            "enable",
            gettext_lazy("Enable"),
            _enable,
            gettext_lazy("The issuer's tokens are believed again."),
            shows=lambda issuer: issuer.disabled_at is not None,
        ),
    )

    @display(description=gettext_lazy("state"), ordering="disabled_at")
    def state(self, issuer: TrustedIssuer) -> SafeString:
        return state_of(issuer.disabled_at)

    @display(description=gettext_lazy("keys fetched"))
    def fetched(self, issuer: TrustedIssuer) -> Cell:
        return moment(issuer.fetch.fetched_at) if hasattr(issuer, "fetch") else NOTHING

    @display(description=gettext_lazy("fault"))
    def fault(self, issuer: TrustedIssuer) -> Cell:
        return (issuer.fetch.fault if hasattr(issuer, "fetch") else "") or NOTHING

    def facts(self, found: TrustedIssuer) -> list[tuple[str, Cell]]:
        return [
            (_("Name"), found.name),
            (_("Issuer"), code(found.issuer)),
            (_("State"), self.state(found)),
            (_("Where its keys are"), code(found.jwks_url) or found.get_key_source_display()),
            (_("Keys"), ", ".join(key_ids(found.keys))),
            (_("Keys fetched"), self.fetched(found)),
            (_("Fault of the last try"), self.fault(found)),
            (_("Algorithms"), ", ".join(found.algorithms)),
            (_("Audiences"), ", ".join(found.audiences)),
            (_("Largest age of a token, in seconds"), whole(found.max_token_age_s)),
            (_("Open to teams"), _("Yes") if found.is_open_to_teams else _("No")),
            (_("Since"), moment(found.created_at)),
        ]

    def tables(self, found: TrustedIssuer) -> list[Table]:
        rules = found.rules.select_related("team").order_by("-id")[:SHOWN_MAX]
        return [rules_table(list(rules))]


def rules_table(rules: list[TrustRule]) -> Table:
    return Table(
        _("Rules"),
        [_("Rule"), _("Team"), _("Subject"), _("State")],
        [
            [link_to(rule), link_to(rule.team), code(rule.subject), state_of(rule.disabled_at)]
            for rule in rules
        ],
        empty=_("No rule trusts a workload of this issuer yet."),
    )
