"""Rules of trust: seen by a team's members, kept by whoever manages its keys, and by administrators."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import (
    access_service_account,
    access_team,
    access_trust_rule,
    issuers_open_to_teams,
)
from accounts.api.bounds import Networks, refuse_wider
from accounts.api.fields import Choice, DisabledThrough, Given, Id, Moment, Taken, Text
from accounts.api.operations import Reason, operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.problems import ProblemCode, invalid
from accounts.api.views import AdministratorView, ManagementView
from accounts.models import ServiceAccount, Team, TrustedIssuer, TrustRule
from accounts.models.keys import CALL_SCOPE_CHOICES, Scope
from accounts.models.workload import AUDIENCE_MAX, SUBJECT_MAX
from accounts.roles import Right
from accounts.ways_in.presented import TOKEN_MAX
from accounts.ways_in.proven import Proven
from accounts.workload.examine import Check
from accounts.workload.explain import explain_for
from accounts.workload.subjects import CLAIMS_MAX, NAME_MAX, VALUE_MAX, VALUES_MAX
from accounts.writes.trust_rules import (
    change_trust_rule,
    disable_trust_rule,
    enable_trust_rule,
    make_trust_rule,
    make_trust_rule_as,
)
from portal.lib.clock import utc_now

_MISSING = [ProblemCode.NOT_FOUND]
_SUBJECT = "The token's subject, or a beginning that ends in `:*` or `/*` after two named parts."


class ClaimGiven(Given):
    claim = serializers.CharField()
    one_of = serializers.ListField(child=serializers.CharField())


class ClaimTaken(Taken):
    claim = Text(max_length=NAME_MAX, help_text="A name, or a JSON pointer such as /a/b.")
    one_of = serializers.ListField(
        child=Text(max_length=VALUE_MAX), min_length=1, max_length=VALUES_MAX
    )


class TrustRuleGiven(Given):
    id = serializers.UUIDField()
    team_id = serializers.UUIDField()
    issuer_id = serializers.UUIDField()
    issuer = serializers.CharField(source="issuer.issuer")
    service_account_id = serializers.UUIDField()
    name = serializers.CharField()
    subject = serializers.CharField(help_text=_SUBJECT)
    audience = serializers.CharField(help_text="Empty: any of the issuer's.")
    claims = ClaimGiven(many=True)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=CALL_SCOPE_CHOICES))
    networks = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    disabled_at = serializers.DateTimeField(allow_null=True)
    disabled_through = DisabledThrough()


def _scopes(**options: Any) -> serializers.ListField:
    return serializers.ListField(
        child=Choice(choices=CALL_SCOPE_CHOICES),
        min_length=1,
        max_length=len(CALL_SCOPE_CHOICES),
        **options,
    )


class TrustRuleChange(Taken):
    """What is not named stays."""

    scopes = _scopes(required=False)
    networks = Networks(required=False)
    expires_at = Moment(required=False, allow_null=True)


class NewTrustRule(Taken):
    issuer_id = Id()
    service_account_id = Id()
    name = Text(max_length=100)
    subject = Text(max_length=SUBJECT_MAX, help_text=_SUBJECT)
    audience = Text(max_length=AUDIENCE_MAX, required=False, allow_blank=True)
    claims = serializers.ListField(child=ClaimTaken(), max_length=CLAIMS_MAX, required=False)
    scopes = _scopes()
    networks = Networks(required=False)
    expires_at = Moment(required=False, allow_null=True)


class OpenIssuerGiven(Given):
    id = serializers.UUIDField()
    name = serializers.SlugField()
    issuer = serializers.CharField()
    audiences = serializers.ListField(child=serializers.CharField())


class TokenTaken(Taken):
    token = Text(
        max_length=TOKEN_MAX, write_only=True, help_text="It is neither stored nor logged."
    )


class OutcomeGiven(Given):
    check = serializers.ChoiceField(choices=[check.value for check in Check])
    passed = serializers.BooleanField()
    seen = serializers.CharField()


class ExplanationGiven(Given):
    outcomes = OutcomeGiven(many=True)
    rule = TrustRuleGiven(allow_null=True, help_text="The team's rule that takes it.")
    ends_at = serializers.DateTimeField(allow_null=True)
    is_elsewhere = serializers.BooleanField(help_text="Another team's rule takes it.")


_EXAMPLE = {
    "issuer_id": "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071",
    "service_account_id": "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6072",
    "name": "deployments",
    "subject": "repo:acme/invoicing:environment:production",
    "claims": [{"claim": "repository_owner_id", "one_of": ["4711"]}],
    "scopes": ["chat"],
}


class OpenIssuers(ManagementView):
    @operation(
        "list_open_issuers",
        "List issuers that teams may trust.",
        gives=page_of(OpenIssuerGiven, "OpenIssuerPageGiven"),
        query=PageQuery,
    )
    def get(self, request: Request) -> Response:
        """Answer the issuers of workloads' tokens for which a team's managers may make rules, by name."""
        return self.page(issuers_open_to_teams(), OpenIssuerGiven, by="name", of="open-issuers")


class TrustRules(ManagementView):
    @operation(
        "list_trust_rules",
        "List a team's rules of trust.",
        gives=page_of(TrustRuleGiven, "TrustRulePageGiven"),
        query=PageQuery,
        refuses=_MISSING,
    )
    def get(self, request: Request, team: str) -> Response:
        """Answer which workloads' tokens stand for service accounts of one of your teams, the newest rule first."""
        found = access_team(self.person, team)
        rows = TrustRule.objects.filter(team=found).select_related("issuer")
        return self.page(rows, TrustRuleGiven, by="-id", of=f"trust-rules.{found.pk}")

    @operation(
        "make_trust_rule",
        "Trust a workload.",
        takes=NewTrustRule,
        gives=TrustRuleGiven,
        status=201,
        refuses=_MISSING,
        example=_EXAMPLE,
    )
    def post(self, request: Request, team: str) -> Response:
        """Let tokens of a workload call models as a service account of a team whose keys you manage.

        What a rule matches never changes. A key makes no rule that goes further than itself or outlives it, a token none.
        """
        found = access_team(self.person, team, right=Right.MANAGE_KEYS)
        facts = _facts(self.taken)
        _refuse_wider(request.auth, facts)
        account = access_service_account(
            self.person, facts.pop("service_account_id"), right=Right.MANAGE_KEYS
        )
        issuer = issuers_open_to_teams().filter(pk=facts.pop("issuer_id")).first()
        if issuer is None:
            raise invalid({"issuer_id": ["This issuer is none that your team may trust."]})
        made = make_trust_rule_as(
            self.person, team=found, issuer=issuer, service_account=account, **facts
        )
        return Response(TrustRuleGiven(made).data, status=201)


class TestToken(ManagementView):
    @operation(
        "explain_token",
        "Say what a token would get.",
        takes=TokenTaken,
        gives=ExplanationGiven,
        refuses=_MISSING,
    )
    def post(self, request: Request, team: str) -> Response:
        """Examine a workload's token as a call would, and tell each check. The token is neither stored nor logged."""
        found = access_team(self.person, team, right=Right.MANAGE_KEYS)
        told = explain_for(found, self.taken["token"], now=utc_now())
        return Response(ExplanationGiven(told).data)


class TrustRuleView(ManagementView):
    @operation("get_trust_rule", "Read a rule of trust.", gives=TrustRuleGiven, refuses=_MISSING)
    def get(self, request: Request, rule: uuid.UUID) -> Response:
        """Answer a rule of one of your teams."""
        return Response(TrustRuleGiven(access_trust_rule(self.person, rule)).data)

    @operation(
        "change_trust_rule",
        "Change how far a rule goes.",
        takes=TrustRuleChange,
        gives=TrustRuleGiven,
        refuses=_MISSING,
        example={"scopes": ["chat", "embeddings"]},
    )
    def patch(self, request: Request, rule: uuid.UUID) -> Response:
        """Give it other scopes, networks or another end, within a second. What it matches never changes."""
        found = access_trust_rule(self.person, rule, right=Right.MANAGE_KEYS)
        _change(found, self)
        return Response(TrustRuleGiven(access_trust_rule(self.person, rule)).data)


class DisableTrustRule(ManagementView):
    @operation(
        "disable_trust_rule",
        "Disable a rule of trust.",
        takes=Reason,
        gives=TrustRuleGiven,
        refuses=_MISSING,
        example={"reason": "The pipeline was retired."},
    )
    def post(self, request: Request, rule: uuid.UUID) -> Response:
        """Refuse its tokens until it is enabled again; its running calls are cut."""
        found = access_trust_rule(self.person, rule, right=Right.MANAGE_KEYS)
        reason = self.taken["reason"]
        disable_trust_rule(found, actor=self.actor, reason=reason, by_administrator=False)
        return Response(TrustRuleGiven(access_trust_rule(self.person, rule)).data)


class EnableTrustRule(ManagementView):
    @operation(
        "enable_trust_rule",
        "Enable a rule of trust.",
        gives=TrustRuleGiven,
        refuses=_MISSING,
    )
    def post(self, request: Request, rule: uuid.UUID) -> Response:
        """Let its tokens call again. What an administrator disabled stays so."""
        found = access_trust_rule(self.person, rule, right=Right.MANAGE_KEYS)
        _refuse_wider(request.auth, _given_by(found))
        enable_trust_rule(found, actor=self.actor)
        return Response(TrustRuleGiven(access_trust_rule(self.person, rule)).data)


class AnyTrustRules(AdministratorView):
    @operation(
        "list_any_trust_rules",
        "List all rules of trust.",
        gives=page_of(TrustRuleGiven, "AnyTrustRulePageGiven"),
        query=PageQuery,
    )
    def get(self, request: Request) -> Response:
        """Answer the rules of every team, the newest first."""
        rows = TrustRule.objects.select_related("issuer")
        return self.page(rows, TrustRuleGiven, by="-id", of="any-trust-rules")


class AnyTeamTrustRules(AdministratorView):
    @operation(
        "make_any_trust_rule",
        "Trust a workload for any team.",
        takes=NewTrustRule,
        gives=TrustRuleGiven,
        status=201,
        refuses=_MISSING,
        example=_EXAMPLE,
    )
    def post(self, request: Request, team: uuid.UUID) -> Response:
        """Make a rule in any team, also for an issuer that is closed to teams."""
        found = get_object_or_404(Team, pk=team)
        facts = _facts(self.taken)
        made = make_trust_rule(
            found,
            issuer=get_object_or_404(TrustedIssuer, pk=facts.pop("issuer_id")),
            service_account=get_object_or_404(ServiceAccount, pk=facts.pop("service_account_id")),
            actor=self.actor,
            **facts,
        )
        return Response(TrustRuleGiven(made).data, status=201)


class DisableAnyTrustRule(AdministratorView):
    @operation(
        "disable_any_trust_rule",
        "Disable any rule of trust.",
        takes=Reason,
        gives=TrustRuleGiven,
        refuses=_MISSING,
        example={"reason": "The pipeline was retired."},
    )
    def post(self, request: Request, rule: uuid.UUID) -> Response:
        """Refuse its tokens; its running calls are cut. Its team cannot enable it again."""
        found = get_object_or_404(TrustRule, pk=rule)
        disable_trust_rule(found, actor=self.actor, reason=self.taken["reason"])
        found.refresh_from_db()
        return Response(TrustRuleGiven(found).data)


class EnableAnyTrustRule(AdministratorView):
    @operation(
        "enable_any_trust_rule",
        "Enable any rule of trust.",
        gives=TrustRuleGiven,
        refuses=_MISSING,
    )
    def post(self, request: Request, rule: uuid.UUID) -> Response:
        """Let its tokens call again, whoever disabled it."""
        found = get_object_or_404(TrustRule, pk=rule)
        enable_trust_rule(found, actor=self.actor, by_administrator=True)
        found.refresh_from_db()
        return Response(TrustRuleGiven(found).data)


def _facts(taken: dict[str, Any]) -> dict[str, Any]:
    return dict(taken) | {"scopes": [Scope(scope) for scope in taken["scopes"]]}


def _change(found: TrustRule, view: ManagementView) -> None:
    wanted = _given_by(found) | view.taken
    _refuse_wider(view.request.auth, wanted)
    change_trust_rule(
        found,
        actor=view.actor,
        scopes=[Scope(scope) for scope in wanted["scopes"]],
        networks=wanted["networks"],
        expires_at=wanted["expires_at"],
    )


def _given_by(rule: TrustRule) -> dict[str, Any]:
    """What it gives; what it matches is no part of that."""
    return {"scopes": rule.scopes, "networks": rule.networks, "expires_at": rule.expires_at}


def _refuse_wider(presented: object, facts: Mapping[str, Any]) -> None:
    """Hold whoever came with a key to what the key itself may, so that a stolen one begets nothing wider or longer. Raises: Problem."""
    if not isinstance(presented, Proven):
        return
    refuse_wider(presented, facts)
    key = presented.key
    if presented.hours or (key is not None and _is_narrow(key)):
        raise invalid({"request": ["A key with hours, limits or a list of models makes no rules."]})


def _is_narrow(key: Any) -> bool:
    limits = (
        (key.requests_per_minute, settings.LATCHKEY_DEFAULT_REQUESTS_PER_MINUTE),
        (key.tokens_per_minute, settings.LATCHKEY_DEFAULT_TOKENS_PER_MINUTE),
    )
    is_limited = any(own is not None and own < default for own, default in limits)
    return is_limited or key.is_narrowed or key.models.exists()
