from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import access_membership, access_team, role_in
from accounts.api.fields import Choice, Given, Taken
from accounts.api.operations import operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.problems import ProblemCode
from accounts.api.views import ManagementView, done
from accounts.models import Membership
from accounts.models.teams import Role
from accounts.roles import Right
from accounts.writes.teams import change_member_role, leave_team, remove_member


class MemberGiven(Given):
    id = serializers.IntegerField(help_text="The membership's id.")
    person_id = serializers.UUIDField()
    name = serializers.CharField(source="person.name")
    email = serializers.EmailField(source="person.email")
    role = serializers.ChoiceField(choices=Role.choices)
    created_at = serializers.DateTimeField()


class NewRole(Taken):
    role = Choice(choices=Role.choices)


class Members(ManagementView):
    @operation(
        "list_members",
        "List a team's members.",
        gives=page_of(MemberGiven, "MemberPageGiven"),
        query=PageQuery,
        refuses=[ProblemCode.NOT_FOUND],
    )
    def get(self, request: Request, team: str) -> Response:
        """Answer everybody in one of your teams, in the order they came."""
        found = access_team(self.person, team)
        rows = Membership.objects.filter(team=found).select_related("person")
        return self.page(rows, MemberGiven, by="id", of=f"members.{found.pk}")


class MemberView(ManagementView):
    @operation(
        "get_member", "Read a membership.", gives=MemberGiven, refuses=[ProblemCode.NOT_FOUND]
    )
    def get(self, request: Request, member: int) -> Response:
        """Answer one member of one of your teams."""
        return Response(MemberGiven(access_membership(self.person, member)).data)

    @operation(
        "change_member_role",
        "Give a member another role.",
        takes=NewRole,
        gives=MemberGiven,
        refuses=[ProblemCode.NOT_FOUND],
        example={"role": "manager"},
    )
    def patch(self, request: Request, member: int) -> Response:
        """Change what a member may do. Only owners make and unmake owners, and nobody gives themselves more."""
        found = access_membership(self.person, member, right=Right.MANAGE_MEMBERS)
        role = Role(self.taken["role"])
        if role is Role.OWNER:
            access_team(self.person, found.team_id, right=Right.MANAGE_OWNERS)
        change_member_role(found, role=role, actor=self.actor)
        return Response(MemberGiven(access_membership(self.person, member)).data)

    @operation(
        "remove_member",
        "Remove a member.",
        gives=None,
        status=204,
        refuses=[ProblemCode.NOT_FOUND],
    )
    def delete(self, request: Request, member: int) -> Response:
        """End a membership and revoke the person's keys of this team. An owner's is for owners to end."""
        found = access_membership(self.person, member, right=Right.MANAGE_MEMBERS)
        remove_member(found, actor=self.actor)
        return done()


class LeaveTeam(ManagementView):
    @operation(
        "leave_team", "Leave a team.", gives=None, status=204, refuses=[ProblemCode.NOT_FOUND]
    )
    def post(self, request: Request, team: str) -> Response:
        """End your own membership. Your keys of this team are revoked with it; the last owner cannot leave."""
        found = role_in(self.person, access_team(self.person, team))
        leave_team(found, person=self.person)
        return done()
