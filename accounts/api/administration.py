"""People and teams, for administrators."""

import uuid
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Lower
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import Choice, Given, Id, Taken, Text
from accounts.api.members import MemberGiven
from accounts.api.operations import Reason, operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.problems import Problem, ProblemCode, invalid
from accounts.api.views import AdministratorView
from accounts.models import Team, User
from accounts.models.teams import Role
from accounts.roles import PortalRight
from accounts.writes.people import create_person, disable_person, enable_person
from accounts.writes.teams import add_member, create_team, disable_team, enable_team

_MISSING = [ProblemCode.NOT_FOUND]


class SignOnIdentityGiven(Given):
    connection = serializers.SlugField(source="connection.slug")
    subject = serializers.CharField(help_text="The provider's own name for the person.")


class PersonGiven(Given):
    id = serializers.UUIDField()
    email = serializers.EmailField()
    name = serializers.CharField()
    is_active = serializers.BooleanField()
    is_administrator = serializers.BooleanField(source="is_superuser")
    created_at = serializers.DateTimeField()
    sign_on_identities = SignOnIdentityGiven(
        many=True, help_text="Who the person is at providers for single sign-on."
    )


class NewPerson(Taken):
    email = serializers.EmailField(max_length=254)
    name = Text(max_length=200, required=False, allow_blank=True)
    password = Text(
        max_length=200,
        min_length=15,
        write_only=True,
        trim_whitespace=False,
        help_text="To begin with.",
    )


class SearchQuery(PageQuery):
    search = Text(required=False, max_length=100, help_text="A part of the name or address.")


class PeopleQuery(SearchQuery):
    email = Text(required=False, max_length=254, help_text="The whole address, in any case.")
    connection = Text(
        required=False, max_length=60, help_text="The slug of a connection for single sign-on."
    )
    subject = Text(
        required=False, max_length=500, help_text="The person's name at that connection's provider."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("connection" in attrs) != ("subject" in attrs):
            # A subject means somebody else at every provider.
            text = "Name a connection and the subject there, both or neither."
            raise serializers.ValidationError({"subject": [text]})
        return attrs


class People(AdministratorView):
    sees = PortalRight.SEE_PEOPLE
    right = PortalRight.MANAGE_PEOPLE

    @operation(
        "list_people",
        "List people.",
        gives=page_of(PersonGiven, "PersonPageGiven"),
        query=PeopleQuery,
    )
    def get(self, request: Request) -> Response:
        """Answer everybody, the newest first; of an exact address, or of a subject at a connection, the one it is."""
        people: QuerySet[User] = User.objects.all()
        if "search" in self.asked:
            people = people.filter(email__icontains=self.asked["search"]) | people.filter(
                name__icontains=self.asked["search"]
            )
        if "email" in self.asked:
            people = people.alias(in_lower_case=Lower("email")).filter(
                in_lower_case=self.asked["email"].lower()
            )
        if "subject" in self.asked:
            # One join, so that the subject is the one at this very connection.
            people = people.filter(
                sign_on_identities__connection__slug=self.asked["connection"],
                sign_on_identities__subject=self.asked["subject"],
            )
        people = people.prefetch_related("sign_on_identities__connection")
        return self.page(people, PersonGiven, by="-id", of="people")

    @operation(
        "create_person",
        "Create a person.",
        takes=NewPerson,
        gives=PersonGiven,
        status=201,
        example={
            "email": "ada@corp.example",
            "name": "Ada",
            "password": "correct horse battery staple",
        },
    )
    def post(self, request: Request) -> Response:
        """Make somebody who can sign in. Administrators are made on the host: `manage.py create_admin`."""
        made = create_person(
            self.taken["email"],
            name=self.taken.get("name", ""),
            password=self.taken["password"],
            actor=self.actor,
        )
        return Response(PersonGiven(made).data, status=201)


class PersonView(AdministratorView):
    sees = PortalRight.SEE_PEOPLE

    @operation("get_person", "Read a person.", gives=PersonGiven, refuses=_MISSING)
    def get(self, request: Request, person: uuid.UUID) -> Response:
        """Answer one person."""
        return Response(PersonGiven(get_object_or_404(User, pk=person)).data)


class DisablePerson(AdministratorView):
    right = PortalRight.MANAGE_PEOPLE

    @operation(
        "disable_person",
        "Disable a person.",
        takes=Reason,
        gives=PersonGiven,
        refuses=_MISSING,
        example={"reason": "Left the company."},
    )
    def post(self, request: Request, person: uuid.UUID) -> Response:
        """Sign them out everywhere and refuse their keys in every team, until they are enabled again."""
        found = get_object_or_404(User, pk=person)
        if found.pk == self.person.pk:
            raise invalid({"request": ["You cannot disable yourself; another administrator can."]})
        disable_person(found, actor=self.actor, reason=self.taken["reason"])
        found.refresh_from_db()
        return Response(PersonGiven(found).data)


class EnablePerson(AdministratorView):
    right = PortalRight.MANAGE_PEOPLE

    @operation("enable_person", "Enable a person.", gives=PersonGiven, refuses=_MISSING)
    def post(self, request: Request, person: uuid.UUID) -> Response:
        """Let them sign in and their keys call again."""
        found = get_object_or_404(User, pk=person)
        enable_person(found, actor=self.actor)
        found.refresh_from_db()
        return Response(PersonGiven(found).data)


class AnyTeamGiven(Given):
    id = serializers.UUIDField()
    slug = serializers.SlugField()
    name = serializers.CharField()
    cost_centre = serializers.CharField()
    created_at = serializers.DateTimeField()
    disabled_at = serializers.DateTimeField(allow_null=True)


class NewTeam(Taken):
    name = Text(max_length=100)
    cost_centre = Text(max_length=60, required=False, allow_blank=True)


class AllTeams(AdministratorView):
    sees = PortalRight.SEE_PEOPLE
    right = PortalRight.MANAGE_TEAMS

    @operation(
        "list_all_teams",
        "List all teams.",
        gives=page_of(AnyTeamGiven, "AnyTeamPageGiven"),
        query=SearchQuery,
    )
    def get(self, request: Request) -> Response:
        """Answer every team, disabled ones included, by name."""
        teams: QuerySet[Team] = Team.objects.all()
        if "search" in self.asked:
            teams = teams.filter(name__icontains=self.asked["search"])
        return self.page(teams, AnyTeamGiven, by="name", of="all-teams")

    @operation(
        "create_team",
        "Create a team.",
        takes=NewTeam,
        gives=AnyTeamGiven,
        status=201,
        example={"name": "Invoicing", "cost_centre": "4711"},
    )
    def post(self, request: Request) -> Response:
        """Make a team without members; its slug is made from its name."""
        made = create_team(
            self.taken["name"], cost_centre=self.taken.get("cost_centre", ""), actor=self.actor
        )
        return Response(AnyTeamGiven(made).data, status=201)


class AnyTeamView(AdministratorView):
    sees = PortalRight.SEE_PEOPLE

    @operation("get_any_team", "Read any team.", gives=AnyTeamGiven, refuses=_MISSING)
    def get(self, request: Request, team: uuid.UUID) -> Response:
        """Answer one team, also a disabled one."""
        return Response(AnyTeamGiven(get_object_or_404(Team, pk=team)).data)


class DisableTeam(AdministratorView):
    right = PortalRight.MANAGE_TEAMS

    @operation(
        "disable_team",
        "Disable a team.",
        takes=Reason,
        gives=AnyTeamGiven,
        refuses=_MISSING,
        example={"reason": "The project ended."},
    )
    def post(self, request: Request, team: uuid.UUID) -> Response:
        """Refuse every key of the team until it is enabled again; its running calls are cut."""
        found = get_object_or_404(Team, pk=team)
        disable_team(found, actor=self.actor, reason=self.taken["reason"])
        found.refresh_from_db()
        return Response(AnyTeamGiven(found).data)


class EnableTeam(AdministratorView):
    right = PortalRight.MANAGE_TEAMS

    @operation("enable_team", "Enable a team.", gives=AnyTeamGiven, refuses=_MISSING)
    def post(self, request: Request, team: uuid.UUID) -> Response:
        """Let the team's keys call again, those that were not revoked and have not ended."""
        found = get_object_or_404(Team, pk=team)
        enable_team(found, actor=self.actor)
        found.refresh_from_db()
        return Response(AnyTeamGiven(found).data)


class NewMember(Taken):
    person_id = Id()
    role = Choice(choices=Role.choices)


class AnyTeamMembers(AdministratorView):
    right = PortalRight.MANAGE_TEAMS

    @operation(
        "add_member",
        "Put a person into a team.",
        takes=NewMember,
        gives=MemberGiven,
        status=201,
        refuses=_MISSING,
    )
    def post(self, request: Request, team: uuid.UUID) -> Response:
        """Make somebody a member at once. Teams themselves invite people by e-mail."""
        found = get_object_or_404(Team, pk=team)
        person = User.objects.filter(pk=self.taken["person_id"]).first()
        if person is None:
            raise Problem(
                ProblemCode.INVALID_REQUEST, errors={"person_id": ["Nobody has this id."]}
            )
        made = add_member(found, person=person, role=Role(self.taken["role"]), actor=self.actor)
        return Response(MemberGiven(made).data, status=201)
