from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import access_membership, access_team, role_in
from accounts.api.fields import Choice, Given, Id, Taken
from accounts.api.operations import operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.permissions import refuse_credential_to_lead
from accounts.api.problems import ProblemCode, invalid
from accounts.api.views import ManagementView, done
from accounts.models import Membership
from accounts.models.teams import Role
from accounts.role_choices import read_team_role
from accounts.roles import Right, rights_of, team_rights_of
from accounts.writes.teams import change_member_role, leave_team, remove_member


class MemberGiven(Given):
    id = serializers.IntegerField(help_text="The membership's id.")
    person_id = serializers.UUIDField()
    name = serializers.CharField(source="person.name")
    email = serializers.EmailField(source="person.email")
    role = serializers.ChoiceField(
        choices=[*Role.choices, ""],
        help_text="Empty where the member has a role of the team's own.",
    )
    custom_role_id = serializers.UUIDField(allow_null=True)
    role_name = serializers.CharField(help_text="The role as people read it.")
    created_at = serializers.DateTimeField()


class NewRole(Taken):
    role = Choice(choices=Role.choices, required=False, help_text="A built-in role.")
    custom_role_id = Id(required=False, help_text="Or a role of the team's own.")


def one_role_of(taken: dict[str, Any]) -> str:
    """The role that was named, built-in or not, as role_choices reads it. Raises: Problem unless it is exactly one."""
    if ("role" in taken) == ("custom_role_id" in taken):
        raise invalid({"role": ["Name a role or the id of a custom one, and not both."]})
    return str(taken.get("role") or taken["custom_role_id"])


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
        rows = Membership.objects.filter(team=found).select_related("person", "custom_role")
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
        """Change what a member may do. Nobody gives a right that they do not have, nor themselves more.

        A key or token makes no owner or manager, and unmakes none.
        """
        found = access_membership(self.person, member, right=Right.MANAGE_MEMBERS)
        role = read_team_role(found.team, one_role_of(self.taken))
        refuse_credential_to_lead(request.auth, rights_of(found), team_rights_of(role))
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
        """End a membership and revoke the person's keys of this team. An owner's is for owners to end.

        A key or token ends none of an owner or manager.
        """
        found = access_membership(self.person, member, right=Right.MANAGE_MEMBERS)
        refuse_credential_to_lead(request.auth, rights_of(found))
        remove_member(found, actor=self.actor)
        return done()


class LeaveTeam(ManagementView):
    @operation(
        "leave_team", "Leave a team.", gives=None, status=204, refuses=[ProblemCode.NOT_FOUND]
    )
    def post(self, request: Request, team: str) -> Response:
        """End your own membership. Your keys of this team are revoked with it; the last owner cannot leave.

        A key or token ends no owner's or manager's.
        """
        found = role_in(self.person, access_team(self.person, team))
        refuse_credential_to_lead(request.auth, rights_of(found))
        leave_team(found, person=self.person)
        return done()
