from django.db.models import OuterRef, QuerySet, Subquery
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import access_team, memberships_of, teams_of
from accounts.api.fields import Given, Taken, Text
from accounts.api.operations import operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.problems import ProblemCode
from accounts.api.views import ManagementView
from accounts.models import Team, User
from accounts.models.teams import Role
from accounts.roles import Right
from accounts.writes.teams import change_team


class TeamGiven(Given):
    id = serializers.UUIDField()
    slug = serializers.SlugField()
    name = serializers.CharField()
    cost_centre = serializers.CharField()
    requires_second_factor = serializers.BooleanField(
        help_text="Whether members act in it only once they have set up a second factor."
    )
    created_at = serializers.DateTimeField()
    my_role = serializers.ChoiceField(choices=Role.choices, help_text="Your role in it.")


def with_my_role(teams: QuerySet[Team], person: User) -> QuerySet[Team]:
    mine = memberships_of(person).filter(team=OuterRef("pk"))
    return teams.annotate(my_role=Subquery(mine.values("role")[:1]))


class TeamChange(Taken):
    name = Text(max_length=100, required=False)
    cost_centre = Text(max_length=60, required=False, allow_blank=True)


class Teams(ManagementView):
    @operation(
        "list_teams", "List your teams.", gives=page_of(TeamGiven, "TeamPageGiven"), query=PageQuery
    )
    def get(self, request: Request) -> Response:
        """Answer the teams you belong to, by name; with a key, the key's team."""
        teams = with_my_role(teams_of(self.person), self.person)
        return self.page(teams, TeamGiven, by="name", of="teams")


class TeamView(ManagementView):
    @operation("get_team", "Read a team.", gives=TeamGiven, refuses=[ProblemCode.NOT_FOUND])
    def get(self, request: Request, team: str) -> Response:
        """Answer one of your teams."""
        found = access_team(self.person, team)
        rows = with_my_role(teams_of(self.person), self.person)
        return Response(TeamGiven(rows.get(pk=found.pk)).data)

    @operation(
        "change_team",
        "Rename a team.",
        takes=TeamChange,
        gives=TeamGiven,
        refuses=[ProblemCode.NOT_FOUND],
        example={"name": "Invoices and payments"},
    )
    def patch(self, request: Request, team: str) -> Response:
        """Give a team another name or cost centre. Its slug stays. What is not named stays as well."""
        found = access_team(self.person, team, right=Right.MANAGE_OWNERS)
        facts = {"name": found.name, "cost_centre": found.cost_centre} | self.taken
        change_team(found, actor=self.actor, **facts)
        rows = with_my_role(teams_of(self.person), self.person)
        return Response(TeamGiven(rows.get(pk=found.pk)).data)
