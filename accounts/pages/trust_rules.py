"""The pages of a team's rules of trust, and of what a token would get by them."""

import uuid
from typing import Any, Self

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import access_team, access_trust_rule, issuers_open_to_teams
from accounts.audit import acting
from accounts.models import ServiceAccount, Team, TrustedIssuer, TrustRule, User
from accounts.models.keys import CALL_SCOPE_CHOICES, Scope
from accounts.models.workload import AUDIENCE_MAX, SUBJECT_MAX
from accounts.pages.bounds_fields import EndField, NetworksField, end_given
from accounts.pages.claims_field import ClaimsField, claims_text
from accounts.pages.parts import page_of, show_refusal
from accounts.pages.team_frame import render_team
from accounts.roles import Right
from accounts.signed_in import person_of
from accounts.ways_in.presented import TOKEN_MAX
from accounts.workload.explain import Explanation, explain_for
from accounts.writes.reasons import REASON_MAX
from accounts.writes.trust_rules import (
    change_trust_rule,
    disable_trust_rule,
    enable_trust_rule,
    make_trust_rule_as,
)
from portal.lib.clock import utc_now

TAB = "team-trust-rules"


class ReachForm(forms.Form):
    """How far a rule goes, which may change. What it may not hold, the write refuses."""

    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("What may it do?"),
        choices=CALL_SCOPE_CHOICES,
        widget=forms.CheckboxSelectMultiple,
    )
    networks = NetworksField()
    expires_at = EndField()

    @classmethod
    def of(cls, rule: TrustRule, data: QueryDict | None = None) -> Self:
        """The form as the rule is now, under names of its own beside the page's other form."""
        begun = {
            "scopes": rule.scopes,
            "networks": "\n".join(rule.networks),
            "expires_at": rule.expires_at,
        }
        return cls(data, initial=begun, auto_id="id_reach_%s")

    def facts(self) -> dict[str, Any]:
        """What the write takes."""
        given = dict(self.cleaned_data)
        return given | {"scopes": [Scope(scope) for scope in given["scopes"]]}


class RuleForm(ReachForm):
    """A new rule."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    issuer = forms.ModelChoiceField(TrustedIssuer.objects.none(), label=gettext_lazy("Issuer"))
    service_account = forms.ModelChoiceField(
        ServiceAccount.objects.none(), label=gettext_lazy("Service account")
    )
    subject = forms.CharField(
        label=gettext_lazy("Subject"),
        max_length=SUBJECT_MAX,
        help_text=gettext_lazy(
            "Whole, or a beginning that ends in :* or /* after two named parts, such as repo:acme/*."
        ),
    )
    audience = forms.CharField(
        label=gettext_lazy("Audience"),
        max_length=AUDIENCE_MAX,
        required=False,
        help_text=gettext_lazy("Empty: any of the issuer's."),
    )
    claims = ClaimsField()
    field_order = ("name", "issuer", "service_account", "subject", "audience", "claims")

    def __init__(self, *args: Any, team: Team, **options: Any) -> None:
        super().__init__(*args, **options)
        issuers = self.fields["issuer"]
        accounts = self.fields["service_account"]
        issuers.queryset = issuers_open_to_teams()  # type: ignore[attr-defined]
        accounts.queryset = team.service_accounts.filter(disabled_at=None).order_by("name")  # type: ignore[attr-defined]


class TokenForm(forms.Form):
    """A token to be examined. It is shown in no answer."""

    token = forms.CharField(
        label=gettext_lazy("Token"),
        max_length=TOKEN_MAX,
        widget=forms.Textarea(
            attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off"},
        ),
        help_text=gettext_lazy("It is examined and forgotten: neither stored nor logged."),
    )


class DisableForm(forms.Form):
    """Why a rule is disabled."""

    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=REASON_MAX)


@require_http_methods(["GET", "HEAD", "POST"])
def trust_rules(request: HttpRequest, slug: str) -> HttpResponse:
    """List the team's rules; whoever manages its keys makes one here."""
    person = person_of(request)
    right = Right.MANAGE_KEYS if request.method == "POST" else Right.SEE_TEAM
    team = access_team(person, slug, right=right)
    form = RuleForm(request.POST or None, team=team)
    if request.method == "POST" and form.is_valid():
        rule = _made(person, team, form)
        if rule is not None:
            messages.success(request, _("The rule is made: its tokens may call within a second."))
            return redirect("team-trust-rule", team.slug, rule.pk)
    return _rules_page(request, team, form=form)


@never_cache
@require_POST
@sensitive_post_parameters("token")
def explain_token(request: HttpRequest, slug: str) -> HttpResponse:
    """Say check by check what a token would get. The answer never holds the token."""
    team = access_team(person_of(request), slug, right=Right.MANAGE_KEYS)
    asked = TokenForm(request.POST)
    told = None
    if asked.is_valid():
        told = explain_for(team, asked.cleaned_data["token"], now=utc_now())
        asked = TokenForm()
    return _rules_page(request, team, form=RuleForm(team=team), asked=asked, told=told)


@require_http_methods(["GET", "HEAD"])
def trust_rule(request: HttpRequest, slug: str, rule_id: uuid.UUID) -> HttpResponse:
    return _rule_page(request, _rule_of(person_of(request), slug, rule_id), DisableForm())


@require_POST
def trust_rule_change(request: HttpRequest, slug: str, rule_id: uuid.UUID) -> HttpResponse:
    """Change how far the rule goes. What it matches never changes."""
    person = person_of(request)
    rule = _rule_of(person, slug, rule_id, right=Right.MANAGE_KEYS)
    reach = ReachForm.of(rule, request.POST)
    if reach.is_valid():
        facts = reach.facts()
        facts["expires_at"] = end_given(facts["expires_at"], was=rule.expires_at)
        try:
            change_trust_rule(rule, actor=acting(person), **facts)
        except ValidationError as error:
            show_refusal(reach, error)
        else:
            messages.success(request, _("The rule goes as far as this, within a second."))
            return redirect("team-trust-rule", slug, rule_id)
    return _rule_page(request, rule, DisableForm(), reach=reach)


@require_POST
def trust_rule_disable(request: HttpRequest, slug: str, rule_id: uuid.UUID) -> HttpResponse:
    """Refuse the rule's tokens until it is enabled again."""
    person = person_of(request)
    rule = _rule_of(person, slug, rule_id, right=Right.MANAGE_KEYS)
    form = DisableForm(request.POST)
    if not form.is_valid():
        return _rule_page(request, rule, form)
    try:
        disable_trust_rule(
            rule,
            actor=acting(person),
            reason=form.cleaned_data["reason"],
            by_administrator=False,
        )
    except ValidationError as error:
        show_refusal(form, error)
        return _rule_page(request, rule, form)
    messages.success(request, _("The rule is disabled: its tokens are refused within a second."))
    return redirect("team-trust-rule", slug, rule_id)


@require_POST
def trust_rule_enable(request: HttpRequest, slug: str, rule_id: uuid.UUID) -> HttpResponse:
    """Let the rule's tokens call again."""
    person = person_of(request)
    rule = _rule_of(person, slug, rule_id, right=Right.MANAGE_KEYS)
    try:
        enable_trust_rule(rule, actor=acting(person))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, _("The rule is enabled: its tokens may call again."))
    return redirect("team-trust-rule", slug, rule_id)


def _rule_of(
    person: User, slug: str, rule_id: uuid.UUID, *, right: Right = Right.SEE_TEAM
) -> TrustRule:
    rule = access_trust_rule(person, rule_id, right=right)
    if rule.team.slug != slug:
        raise Http404
    return rule


def _rules_page(
    request: HttpRequest,
    team: Team,
    *,
    form: RuleForm,
    asked: TokenForm | None = None,
    told: Explanation | None = None,
) -> HttpResponse:
    rows = TrustRule.objects.filter(team=team).select_related("issuer", "service_account")
    return render_team(
        request,
        "accounts/trust_rules.html",
        team,
        tab=TAB,
        page=page_of(request, rows.order_by("name")),
        form=form,
        asked=asked or TokenForm(),
        told=told,
        issuers=issuers_open_to_teams(),
    )


def _rule_page(
    request: HttpRequest, rule: TrustRule, form: DisableForm, *, reach: ReachForm | None = None
) -> HttpResponse:
    return render_team(
        request,
        "accounts/trust_rule.html",
        rule.team,
        tab=TAB,
        rule=rule,
        claims=claims_text(rule.claims),
        form=form,
        reach=reach or ReachForm.of(rule),
    )


def _made(person: User, team: Team, form: RuleForm) -> TrustRule | None:
    try:
        return make_trust_rule_as(person, team=team, **form.facts())
    except ValidationError as error:
        show_refusal(form, error)
        return None
