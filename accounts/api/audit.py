from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import access_team
from accounts.api.fields import Choice, Given, Id
from accounts.api.operations import operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.problems import ProblemCode
from accounts.api.views import AdministratorView, ManagementView
from accounts.models import AuditEntry
from accounts.models.audit import ActorKind, AuditTag
from accounts.roles import PortalRight, Right


class AuditEntryGiven(Given):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    tag = serializers.ChoiceField(
        choices=AuditTag.choices, help_text="docs/audit.md explains each."
    )
    actor_kind = serializers.ChoiceField(choices=ActorKind.choices)
    actor_id = serializers.UUIDField(allow_null=True)
    team_id = serializers.UUIDField(allow_null=True)
    subject_kind = serializers.CharField()
    subject_id = serializers.UUIDField(allow_null=True)
    facts = serializers.DictField(help_text="Ids and plain values; never a secret or a name.")


class AuditQuery(PageQuery):
    tag = Choice(choices=AuditTag.choices, required=False)
    subject_id = Id(required=False, help_text="What was acted on.")


class AuditOfAllQuery(AuditQuery):
    team_id = Id(required=False)
    actor_id = Id(required=False)


_AuditPage = page_of(AuditEntryGiven, "AuditEntryPageGiven")
_FILTERS = ("tag", "subject_id", "team_id", "actor_id")


class TeamAudit(ManagementView):
    @operation(
        "list_team_audit",
        "Read a team's audit trail.",
        gives=_AuditPage,
        query=AuditQuery,
        refuses=[ProblemCode.NOT_FOUND],
    )
    def get(self, request: Request, team: str) -> Response:
        """Answer what was done in one of your teams, the newest first. It is for owners, managers and auditors."""
        found = access_team(self.person, team, right=Right.SEE_AUDIT)
        rows = AuditEntry.objects.filter(team_id=found.pk, **_chosen(self.asked))
        return self.page(rows, AuditEntryGiven, by="-id", of=f"audit.{found.pk}")


class Audit(AdministratorView):
    sees = PortalRight.SEE_AUDIT

    @operation("list_audit", "Read the audit trail.", gives=_AuditPage, query=AuditOfAllQuery)
    def get(self, request: Request) -> Response:
        """Answer what was done anywhere, the newest first."""
        rows = AuditEntry.objects.filter(**_chosen(self.asked))
        return self.page(rows, AuditEntryGiven, by="-id", of="audit")


def _chosen(asked: dict[str, object]) -> dict[str, object]:
    """The filters that were asked for, of those that there are."""
    return {name: asked[name] for name in _FILTERS if name in asked}
