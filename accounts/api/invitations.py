import uuid

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import access_invitation, access_team
from accounts.api.fields import Choice, Given, Taken
from accounts.api.operations import operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.permissions import refuse_credential_to_lead
from accounts.api.problems import ProblemCode
from accounts.api.views import ManagementView, done
from accounts.models import Invitation
from accounts.models.teams import Role
from accounts.roles import RIGHTS, Right
from accounts.writes.invitations import invite, withdraw_invitation


class InvitationGiven(Given):
    id = serializers.UUIDField()
    team_id = serializers.UUIDField()
    email = serializers.EmailField()
    role = serializers.ChoiceField(choices=Role.choices)
    created_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()


class NewInvitation(Taken):
    email = serializers.EmailField(max_length=254)
    role = Choice(choices=Role.choices)


class Invitations(ManagementView):
    @operation(
        "list_invitations",
        "List a team's open invitations.",
        gives=page_of(InvitationGiven, "InvitationPageGiven"),
        query=PageQuery,
        refuses=[ProblemCode.NOT_FOUND],
    )
    def get(self, request: Request, team: str) -> Response:
        """Answer who was invited and has not come yet, the newest first."""
        found = access_team(self.person, team, right=Right.MANAGE_MEMBERS)
        rows = Invitation.objects.filter(team=found, closed_at=None)
        return self.page(rows, InvitationGiven, by="-id", of=f"invitations.{found.pk}")

    @operation(
        "invite_member",
        "Invite somebody into a team.",
        takes=NewInvitation,
        gives=InvitationGiven,
        status=201,
        refuses=[ProblemCode.NOT_FOUND],
        example={"email": "ada@corp.example", "role": "member"},
    )
    def post(self, request: Request, team: str) -> Response:
        """Send somebody a link by which they join, once, within a week. Only owners invite owners.

        A key or token invites no owner or manager.
        """
        role = Role(self.taken["role"])
        right = Right.MANAGE_OWNERS if role is Role.OWNER else Right.MANAGE_MEMBERS
        found = access_team(self.person, team, right=right)
        refuse_credential_to_lead(request.auth, RIGHTS[role])
        made = invite(found, email=self.taken["email"], role=role, by=self.person)
        return Response(InvitationGiven(made).data, status=201)


class InvitationView(ManagementView):
    @operation(
        "withdraw_invitation",
        "Withdraw an invitation.",
        gives=None,
        status=204,
        refuses=[ProblemCode.NOT_FOUND],
    )
    def delete(self, request: Request, invitation: uuid.UUID) -> Response:
        """Make its link lead nowhere."""
        withdraw_invitation(access_invitation(self.person, invitation), actor=self.actor)
        return done()
