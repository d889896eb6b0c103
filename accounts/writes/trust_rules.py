"""Say which tokens of a trusted issuer stand for a service account. What a rule matches never changes; how far it goes may."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.access import access_team
from accounts.audit import Actor, acting, record_audit
from accounts.models import ServiceAccount, Team, TrustedIssuer, TrustRule, User
from accounts.models.audit import AuditTag
from accounts.models.keys import CALL_SCOPES, Scope
from accounts.roles import Right
from accounts.workload.subjects import checked_claims, checked_subject, meet
from accounts.writes.disabling import FIELDS, HELD, set_disabled, set_enabled
from accounts.writes.networks import checked_networks
from accounts.writes.reasons import checked_reason
from portal.lib.clock import utc_now

RULES_MAX = 500


@transaction.atomic
def make_trust_rule_as(
    person: User, *, team: Team, issuer: TrustedIssuer, subject: str, **facts: Any
) -> TrustRule:
    """Make a rule as a manager does: in their own team, for an issuer that is open to teams.

    None stands in for a rule of the team that an administrator disabled.

    Raises: ValidationError naming the field; Http404 and PermissionDenied for whoever may not.
    """
    access_team(person, team.pk, right=Right.MANAGE_KEYS)
    if not issuer.is_open_to_teams or issuer.disabled_at is not None:
        # In the words for an issuer that does not exist: what administrators keep to themselves is not told.
        raise ValidationError({"issuer": "This issuer is none that your team may trust."})
    held = TrustRule.objects.filter(
        team=team, issuer=issuer, disabled_at__isnull=False, disabled_by_team=False
    )
    if any(meet(subject.strip(), one.subject) for one in held):
        raise ValidationError({"subject": HELD})
    return make_trust_rule(team, issuer=issuer, subject=subject, actor=acting(person), **facts)


@transaction.atomic
def make_trust_rule(
    team: Team,
    *,
    issuer: TrustedIssuer,
    service_account: ServiceAccount,
    name: str,
    subject: str,
    scopes: Sequence[Scope],
    actor: Actor,
    audience: str = "",
    claims: Sequence[Mapping[str, Any]] = (),
    networks: Sequence[str] = (),
    expires_at: datetime.datetime | None = None,
) -> TrustRule:
    """Let tokens of this subject call models as the service account.

    claims: see TrustRule. networks: CIDRs that it may be used from; none means from anywhere.
    Raises: ValidationError naming the field.
    """
    if service_account.team_id != team.pk:
        raise ValidationError({"service_account": "A rule's service account belongs to its team."})
    if service_account.disabled_at is not None:
        raise ValidationError({"service_account": "This service account is disabled."})
    # Locked, so that two rules made at once are counted one after the other.
    Team.objects.select_for_update(no_key=True).get(pk=team.pk)
    if TrustRule.objects.filter(team=team).count() >= RULES_MAX:
        raise ValidationError({"request": f"A team has at most {RULES_MAX} rules."})
    audience = audience.strip()
    if audience and audience not in issuer.audiences:
        raise ValidationError({"audience": "This is none of the audiences of the issuer."})
    rule = TrustRule(
        team=team,
        issuer=issuer,
        service_account=service_account,
        name=name.strip(),
        subject=checked_subject(subject),
        audience=audience,
        claims=checked_claims(claims),
        scopes=_checked_scopes(scopes),
        networks=checked_networks(networks),
        expires_at=_checked_end(expires_at),
        created_by=actor.id,
    )
    rule.full_clean()
    rule.save()
    record_audit(
        AuditTag.TRUST_RULE_MADE,
        actor=actor,
        subject_kind="trust_rule",
        subject_id=rule.id,
        team_id=team.id,
        issuer_id=str(issuer.pk),
        service_account_id=str(service_account.pk),
        subject=rule.subject,
        claims=[claim["claim"] for claim in rule.claims],
        scopes=rule.scopes,
        networks=rule.networks,
    )
    return rule


@transaction.atomic
def change_trust_rule(
    rule: TrustRule,
    *,
    actor: Actor,
    scopes: Sequence[Scope],
    networks: Sequence[str],
    expires_at: datetime.datetime | None,
) -> None:
    """Change how far a rule goes. Changing nothing is not audited. Raises: ValidationError naming the field."""
    rule = TrustRule.objects.select_for_update(no_key=True).get(pk=rule.pk)
    wanted: dict[str, Any] = {
        "scopes": _checked_scopes(scopes),
        "networks": checked_networks(networks),
        "expires_at": expires_at if expires_at == rule.expires_at else _checked_end(expires_at),
    }
    changed = [name for name, value in wanted.items() if value != getattr(rule, name)]
    if not changed:
        return
    for name in changed:
        setattr(rule, name, wanted[name])
    rule.full_clean()
    rule.save(update_fields=changed)
    record_audit(
        AuditTag.TRUST_RULE_CHANGED,
        actor=actor,
        subject_kind="trust_rule",
        subject_id=rule.id,
        team_id=rule.team_id,
        changed=changed,
        scopes=rule.scopes,
        networks=rule.networks,
    )


@transaction.atomic
def disable_trust_rule(
    rule: TrustRule,
    *,
    actor: Actor,
    reason: str,
    by_administrator: bool = True,
) -> None:
    """Refuse the rule's tokens until it is enabled again.

    Disabling twice changes nothing, except that an administrator's takes the place of a team's.
    by_administrator: its team does not enable it again.
    """
    reason = checked_reason(reason, act="the rule is disabled")
    rule = TrustRule.objects.select_for_update(no_key=True).get(pk=rule.pk)
    if not set_disabled(rule, actor=actor, by_administrator=by_administrator):
        return
    rule.save(update_fields=FIELDS)
    record_audit(
        AuditTag.TRUST_RULE_DISABLED,
        actor=actor,
        subject_kind="trust_rule",
        subject_id=rule.id,
        team_id=rule.team_id,
        reason=reason,
    )


@transaction.atomic
def enable_trust_rule(
    rule: TrustRule,
    *,
    actor: Actor,
    by_administrator: bool = False,
) -> None:
    """Let the rule's tokens call again.

    Raises: ValidationError for a team's hand where an administrator disabled it.
    """
    rule = TrustRule.objects.select_for_update(no_key=True).get(pk=rule.pk)
    if not set_enabled(rule, actor=actor, by_administrator=by_administrator):
        return
    rule.save(update_fields=FIELDS)
    record_audit(
        AuditTag.TRUST_RULE_ENABLED,
        actor=actor,
        subject_kind="trust_rule",
        subject_id=rule.id,
        team_id=rule.team_id,
    )


def _checked_scopes(scopes: Sequence[Scope]) -> list[str]:
    """A service account calls models and nothing else, so no rule opens the management API."""
    wanted = set(scopes)
    if not wanted or not wanted <= set(CALL_SCOPES):
        raise ValidationError({"scopes": "Name kinds of call, at least one, and nothing else."})
    return [scope.value for scope in CALL_SCOPES if scope in wanted]


def _checked_end(expires_at: datetime.datetime | None) -> datetime.datetime | None:
    if expires_at is not None and expires_at <= utc_now():
        raise ValidationError({"expires_at": "This end lies in the past."})
    return expires_at
