import uuid

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import access_team, access_team_role
from accounts.api.fields import Choice, Given, Taken, Text
from accounts.api.operations import operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.permissions import refuse_credential_to_lead
from accounts.api.problems import ProblemCode
from accounts.api.views import ManagementView, done
from accounts.models import CustomRole
from accounts.roles import Right, team_rights_of
from accounts.writes.custom_roles import change_team_role, make_team_role, remove_role

_MISSING = [ProblemCode.NOT_FOUND]
_RIGHTS = [right.value for right in Right]


class TeamRoleGiven(Given):
    id = serializers.UUIDField()
    team_id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    rights = serializers.ListField(child=serializers.ChoiceField(choices=_RIGHTS))
    created_at = serializers.DateTimeField()


class NewTeamRole(Taken):
    name = Text(max_length=60)
    description = Text(max_length=500, required=False, allow_blank=True)
    rights = serializers.ListField(child=Choice(choices=_RIGHTS), min_length=1, max_length=40)


class TeamRoles(ManagementView):
    @operation(
        "list_team_roles",
        "List a team's own roles.",
        gives=page_of(TeamRoleGiven, "TeamRolePageGiven"),
        query=PageQuery,
        refuses=_MISSING,
    )
    def get(self, request: Request, team: str) -> Response:
        """Answer the roles that the team made itself, by name. The built-in ones are always there."""
        found = access_team(self.person, team)
        rows = CustomRole.objects.filter(team=found)
        return self.page(rows, TeamRoleGiven, by="name", of=f"team-roles.{found.pk}")

    @operation(
        "make_team_role",
        "Make a role of a team.",
        takes=NewTeamRole,
        gives=TeamRoleGiven,
        status=201,
        refuses=_MISSING,
        example={"name": "Cost watcher", "rights": ["see_team", "see_usage"]},
    )
    def post(self, request: Request, team: str) -> Response:
        """Name a set of rights that members can be given. Nobody puts in a right that they do not have."""
        found = access_team(self.person, team, right=Right.MANAGE_ROLES)
        made = make_team_role(
            found,
            name=self.taken["name"],
            description=self.taken.get("description", ""),
            rights=[Right(right) for right in self.taken["rights"]],
            actor=self.actor,
        )
        return Response(TeamRoleGiven(made).data, status=201)


class TeamRoleView(ManagementView):
    @operation(
        "change_team_role",
        "Change a team's role.",
        takes=NewTeamRole,
        gives=TeamRoleGiven,
        refuses=_MISSING,
        example={"name": "Cost watcher", "rights": ["see_team", "see_usage", "see_audit"]},
    )
    def put(self, request: Request, role: uuid.UUID) -> Response:
        """Replace what the role allows; it counts from everybody's next request on.

        A key or token changes no role with a right that begins with `manage_`, and makes none of another.
        """
        found = access_team_role(self.person, role)
        rights = frozenset(Right(right) for right in self.taken["rights"])
        refuse_credential_to_lead(request.auth, team_rights_of(found), rights)
        change_team_role(
            found,
            name=self.taken["name"],
            description=self.taken.get("description", ""),
            rights=list(rights),
            actor=self.actor,
        )
        found.refresh_from_db()
        return Response(TeamRoleGiven(found).data)

    @operation(
        "remove_team_role", "Remove a team's role.", gives=None, status=204, refuses=_MISSING
    )
    def delete(self, request: Request, role: uuid.UUID) -> Response:
        """Remove a role that nobody has."""
        remove_role(access_team_role(self.person, role), actor=self.actor)
        return done()
