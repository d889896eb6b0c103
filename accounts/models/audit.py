"""The audit trail: who did what to what, when. The application's database role can add rows and read them, nothing else."""

from django.db import models

from portal.lib.clock import utc_now


class AuditTag(models.TextChoices):
    """Everything that is audited; docs/audit.md explains each."""

    PERSON_CREATED = "person.created"
    PERSON_DISABLED = "person.disabled"
    PERSON_ENABLED = "person.enabled"
    PERSON_PORTAL_ROLE_CHANGED = "person.portal_role_changed"
    PERSON_INVITED = "person.invited"
    INVITATION_ACCEPTED = "invitation.accepted"
    INVITATION_WITHDRAWN = "invitation.withdrawn"
    PASSWORD_CHANGED = "person.password_changed"  # noqa: S105 - a tag.
    TEAM_CREATED = "team.created"
    TEAM_DISABLED = "team.disabled"
    TEAM_ENABLED = "team.enabled"
    TEAM_CHANGED = "team.changed"
    MEMBER_ADDED = "member.added"
    MEMBER_ROLE_CHANGED = "member.role_changed"
    MEMBER_REMOVED = "member.removed"
    MEMBER_LEFT = "member.left"
    ROLE_MADE = "role.made"
    ROLE_CHANGED = "role.changed"
    ROLE_REMOVED = "role.removed"
    SERVICE_ACCOUNT_CREATED = "service_account.created"
    SERVICE_ACCOUNT_DISABLED = "service_account.disabled"
    SERVICE_ACCOUNT_ENABLED = "service_account.enabled"
    BOUNDS_CHANGED = "bounds.changed"
    ISSUER_ADDED = "issuer.added"
    ISSUER_CHANGED = "issuer.changed"
    ISSUER_KEYS_REPLACED = "issuer.keys_replaced"
    ISSUER_DISABLED = "issuer.disabled"
    ISSUER_ENABLED = "issuer.enabled"
    TRUST_RULE_MADE = "trust_rule.made"
    TRUST_RULE_CHANGED = "trust_rule.changed"
    TRUST_RULE_DISABLED = "trust_rule.disabled"
    TRUST_RULE_ENABLED = "trust_rule.enabled"
    KEY_ISSUED = "key.issued"
    KEY_REVOKED = "key.revoked"
    KEY_DISABLED = "key.disabled"
    KEY_ENABLED = "key.enabled"
    KEY_ROTATED = "key.rotated"
    KEY_ROTATION_SET = "key.rotation_set"
    KEY_HANDED_OVER = "key.handed_over"
    KEY_OLD_SECRET_ENDED = "key.old_secret_ended"  # noqa: S105 - a tag.
    KEY_LEAKED = "key.leaked"
    DECOY_ISSUED = "decoy.issued"
    DECOY_USED = "decoy.used"
    DECOY_ENDED = "decoy.ended"
    LEAK_REPORTER_KEYS_REPLACED = "leak_reporter.keys_replaced"
    PROVIDER_ADDED = "provider.added"
    PROVIDER_CHANGED = "provider.changed"
    MODEL_ADDED = "model.added"
    MODEL_CHANGED = "model.changed"
    MODEL_STATUS_CHANGED = "model.status_changed"
    DEPLOYMENT_ADDED = "deployment.added"
    DEPLOYMENT_CHANGED = "deployment.changed"
    REQUEST_MADE = "request.made"
    REQUEST_COMMENTED = "request.commented"
    REQUEST_APPROVED = "request.approved"
    REQUEST_DENIED = "request.denied"
    REQUEST_WITHDRAWN = "request.withdrawn"
    GRANT_MADE = "grant.made"
    GRANT_ENDED = "grant.ended"
    KEY_MODELS_NARROWED = "key.models_narrowed"
    LIMIT_SET = "limit.set"
    LIMIT_CHANGED = "limit.changed"
    LIMIT_REMOVED = "limit.removed"
    SIGNED_IN = "person.signed_in"
    BREAK_GLASS_CHANGED = "person.break_glass_changed"
    SIGN_ON_ADDED = "sign_on.added"
    SIGN_ON_CHANGED = "sign_on.changed"
    SIGN_ON_GROUP_MAPPED = "sign_on.group_mapped"
    SIGN_ON_GROUP_UNMAPPED = "sign_on.group_unmapped"
    SIGN_ON_LINKED = "sign_on.linked"
    SESSIONS_ENDED = "person.sessions_ended"
    SECOND_FACTOR_ADDED = "person.second_factor_added"
    SECOND_FACTOR_REMOVED = "person.second_factor_removed"
    RECOVERY_CODES_REPLACED = "person.recovery_codes_replaced"
    RECOVERY_CODE_USED = "person.recovery_code_used"
    OAUTH_CLIENT_REGISTERED = "oauth_client.registered"
    OAUTH_CLIENT_SECRET_REPLACED = "oauth_client.secret_replaced"  # noqa: S105 - a tag.
    OAUTH_CLIENT_DISABLED = "oauth_client.disabled"
    OAUTH_CLIENT_ENABLED = "oauth_client.enabled"
    OAUTH_CLIENT_REMOVED = "oauth_client.removed"
    OAUTH_AUTHORIZED = "oauth.authorized"
    OAUTH_REPLAYED = "oauth.replayed"
    MAIL_SENT_AGAIN = "mail.sent_again"
    WEBHOOK_ADDED = "webhook.added"
    WEBHOOK_REMOVED = "webhook.removed"
    WEBHOOK_DELIVERED_AGAIN = "webhook.delivered_again"
    NOTIFICATIONS_CHOSEN = "person.notifications_chosen"
    PROPOSAL_MADE = "proposal.made"
    PROPOSAL_CONFIRMED = "proposal.confirmed"
    PROPOSAL_REFUSED = "proposal.refused"
    PROPOSAL_WITHDRAWN = "proposal.withdrawn"
    REQUEST_AGREED = "request.agreed"
    REQUEST_ESCALATED = "request.escalated"
    POLICY_MADE = "policy.made"
    POLICY_VERSION_ADDED = "policy.version_added"
    POLICY_SWITCHED_ON = "policy.switched_on"
    POLICY_SWITCHED_OFF = "policy.switched_off"
    APPROVALS_DELEGATED = "approvals.delegated"
    DELEGATION_ENDED = "approvals.delegation_ended"


def audit_tags() -> list[tuple[str, str]]:
    """Return the tags as choices. A function, so that a new tag needs no migration."""
    return AuditTag.choices


class ActorKind(models.TextChoices):
    """Who acted: a signed-in person, a command on the host, or the system itself."""

    PERSON = "person"
    COMMAND = "command"
    SYSTEM = "system"


class AuditEntry(models.Model):
    """One act. Ids are opaque and carry no foreign key: the trail outlives what it speaks of."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(default=utc_now, editable=False)
    tag = models.CharField(max_length=40, choices=audit_tags)
    actor_kind = models.CharField(max_length=10, choices=ActorKind.choices)
    actor_id = models.UUIDField(null=True)
    team_id = models.UUIDField(null=True)
    subject_kind = models.CharField(max_length=40)
    subject_id = models.UUIDField(null=True)
    facts = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["team_id", "id"], name="audit_by_team"),
            models.Index(fields=["subject_id", "id"], name="audit_by_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.tag}"
