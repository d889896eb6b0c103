import uuid

from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import access_service_account, access_team
from accounts.api.fields import DisabledThrough, Given, Taken, Text
from accounts.api.operations import Reason, operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.problems import ProblemCode
from accounts.api.views import AdministratorView, ManagementView
from accounts.models import ServiceAccount
from accounts.roles import PortalRight, Right
from accounts.writes.teams import (
    create_service_account,
    disable_service_account,
    enable_service_account,
)


class ServiceAccountGiven(Given):
    id = serializers.UUIDField()
    team_id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    created_at = serializers.DateTimeField()
    disabled_at = serializers.DateTimeField(allow_null=True)
    disabled_through = DisabledThrough()


class NewServiceAccount(Taken):
    name = Text(max_length=100)
    description = Text(max_length=2000, required=False, allow_blank=True)


class ServiceAccounts(ManagementView):
    @operation(
        "list_service_accounts",
        "List a team's service accounts.",
        gives=page_of(ServiceAccountGiven, "ServiceAccountPageGiven"),
        query=PageQuery,
        refuses=[ProblemCode.NOT_FOUND],
    )
    def get(self, request: Request, team: str) -> Response:
        """Answer the applications of one of your teams, the newest first."""
        found = access_team(self.person, team)
        rows = ServiceAccount.objects.filter(team=found)
        return self.page(rows, ServiceAccountGiven, by="-id", of=f"service-accounts.{found.pk}")

    @operation(
        "create_service_account",
        "Create a service account.",
        takes=NewServiceAccount,
        gives=ServiceAccountGiven,
        status=201,
        refuses=[ProblemCode.NOT_FOUND],
        example={"name": "invoice-reader", "description": "Reads incoming invoices."},
    )
    def post(self, request: Request, team: str) -> Response:
        """Make an application of the team that can hold keys of its own."""
        found = access_team(self.person, team, right=Right.MANAGE_SERVICE_ACCOUNTS)
        made = create_service_account(
            found,
            name=self.taken["name"],
            description=self.taken.get("description", ""),
            actor=self.actor,
        )
        return Response(ServiceAccountGiven(made).data, status=201)


class ServiceAccountView(ManagementView):
    @operation(
        "get_service_account",
        "Read a service account.",
        gives=ServiceAccountGiven,
        refuses=[ProblemCode.NOT_FOUND],
    )
    def get(self, request: Request, account: uuid.UUID) -> Response:
        """Answer an application of one of your teams."""
        return Response(ServiceAccountGiven(access_service_account(self.person, account)).data)


class DisableServiceAccount(ManagementView):
    @operation(
        "disable_service_account",
        "Disable a service account.",
        takes=Reason,
        gives=ServiceAccountGiven,
        refuses=[ProblemCode.NOT_FOUND],
        example={"reason": "The application was retired."},
    )
    def post(self, request: Request, account: uuid.UUID) -> Response:
        """Refuse its keys until it is enabled again; its running calls are cut."""
        found = access_service_account(self.person, account, right=Right.MANAGE_SERVICE_ACCOUNTS)
        reason = self.taken["reason"]
        disable_service_account(found, actor=self.actor, reason=reason, by_administrator=False)
        found.refresh_from_db()
        return Response(ServiceAccountGiven(found).data)


class EnableServiceAccount(ManagementView):
    @operation(
        "enable_service_account",
        "Enable a service account.",
        gives=ServiceAccountGiven,
        refuses=[ProblemCode.NOT_FOUND],
    )
    def post(self, request: Request, account: uuid.UUID) -> Response:
        """Let its keys call again, those that were not revoked and have not ended. What an administrator disabled stays so."""
        found = access_service_account(self.person, account, right=Right.MANAGE_SERVICE_ACCOUNTS)
        enable_service_account(found, actor=self.actor)
        found.refresh_from_db()
        return Response(ServiceAccountGiven(found).data)


class DisableAnyServiceAccount(AdministratorView):
    right = PortalRight.MANAGE_TEAMS

    @operation(
        "disable_any_service_account",
        "Disable anybody's service account.",
        takes=Reason,
        gives=ServiceAccountGiven,
        refuses=[ProblemCode.NOT_FOUND],
        example={"reason": "The application was retired."},
    )
    def post(self, request: Request, account: uuid.UUID) -> Response:
        """Refuse its keys; its running calls are cut. Its team cannot enable it again."""
        found = get_object_or_404(ServiceAccount, pk=account)
        disable_service_account(found, actor=self.actor, reason=self.taken["reason"])
        found.refresh_from_db()
        return Response(ServiceAccountGiven(found).data)


class EnableAnyServiceAccount(AdministratorView):
    right = PortalRight.MANAGE_TEAMS

    @operation(
        "enable_any_service_account",
        "Enable anybody's service account.",
        gives=ServiceAccountGiven,
        refuses=[ProblemCode.NOT_FOUND],
    )
    def post(self, request: Request, account: uuid.UUID) -> Response:
        """Let its keys call again, whoever disabled it, those that were not revoked and have not ended."""
        found = get_object_or_404(ServiceAccount, pk=account)
        enable_service_account(found, actor=self.actor, by_administrator=True)
        found.refresh_from_db()
        return Response(ServiceAccountGiven(found).data)
