"""Roles for the whole portal: who has which, and those that an organisation made itself."""

import uuid
from typing import Any

from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import Choice, Given, Id, Taken, Text
from accounts.api.members import one_role_of
from accounts.api.operations import operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.problems import ProblemCode
from accounts.api.proposals import ProposalGiven
from accounts.api.views import AdministratorView, done
from accounts.models import CustomRole, Proposal, User
from accounts.models.roles import PortalRole
from accounts.role_choices import read_portal_role
from accounts.roles import PortalRight, portal_roles
from accounts.two_person_roles import ask_to_change, ask_to_give, ask_to_make, ask_to_take
from accounts.writes.custom_roles import remove_role

_MISSING = [ProblemCode.NOT_FOUND]
_RIGHTS = [right.value for right in PortalRight]


class OneRole(Taken):
    role = Choice(choices=PortalRole.choices, required=False, help_text="A built-in role.")
    custom_role_id = Id(required=False, help_text="Or a role of the portal's own.")
    reason = Text(max_length=500, help_text="It stands in the audit trail.")


class RolesGiven(Given):
    roles = serializers.ListField(
        child=serializers.CharField(), help_text="The built-in ones by name, the others by id."
    )
    proposal = ProposalGiven(
        allow_null=True, help_text="What waits for a second person; null where it is done."
    )


class PortalRolesOfPerson(AdministratorView):
    right = PortalRight.MANAGE_ROLES

    @operation(
        "give_portal_role",
        "Give a person a role for the portal.",
        takes=OneRole,
        gives=RolesGiven,
        refuses=_MISSING,
        example={"role": "approver", "reason": "Decides for the research teams."},
    )
    def post(self, request: Request, person: uuid.UUID) -> Response:
        """Give a role, or propose it where it takes two people. Nobody gives a right that they do not have."""
        found = get_object_or_404(User, pk=person)
        role = read_portal_role(one_role_of(self.taken))
        made = ask_to_give(found, role=role, by=self.person, why=self.taken["reason"])
        return _roles_of(found, made)


class TakePortalRole(AdministratorView):
    right = PortalRight.MANAGE_ROLES

    @operation(
        "take_portal_role",
        "Take a role for the portal from a person.",
        takes=OneRole,
        gives=RolesGiven,
        refuses=_MISSING,
        example={"role": "approver", "reason": "Moved to another department."},
    )
    def post(self, request: Request, person: uuid.UUID) -> Response:
        """Take a role, or propose it where it takes two people. The last superuser stays one."""
        found = get_object_or_404(User, pk=person)
        role = read_portal_role(one_role_of(self.taken))
        made = ask_to_take(found, role=role, by=self.person, why=self.taken["reason"])
        return _roles_of(found, made)


class PortalRoleGiven(Given):
    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    rights = serializers.ListField(child=serializers.ChoiceField(choices=_RIGHTS))
    created_at = serializers.DateTimeField()


class NewPortalRole(Taken):
    name = Text(max_length=60)
    description = Text(max_length=500, required=False, allow_blank=True)
    rights = serializers.ListField(child=Choice(choices=_RIGHTS), min_length=1, max_length=40)
    reason = Text(max_length=500, help_text="It stands in the audit trail.")


class ChangedPortalRoleGiven(Given):
    role = PortalRoleGiven(help_text="The role as it is now.")
    proposal = ProposalGiven(
        allow_null=True, help_text="What waits for a second person; null where it is done."
    )


class PortalRoles(AdministratorView):
    sees = right = PortalRight.MANAGE_ROLES

    @operation(
        "list_portal_roles",
        "List the portal's own roles.",
        gives=page_of(PortalRoleGiven, "PortalRolePageGiven"),
        query=PageQuery,
    )
    def get(self, request: Request) -> Response:
        """Answer the roles that were made here, by name. The built-in ones are always there."""
        rows = CustomRole.objects.filter(team=None)
        return self.page(rows, PortalRoleGiven, by="name", of="portal-roles")

    @operation(
        "make_portal_role",
        "Propose a role of the portal's own.",
        takes=NewPortalRole,
        gives=ProposalGiven,
        status=202,
        example={
            "name": "Support",
            "rights": ["see_people", "revoke_keys"],
            "reason": "The help desk revokes leaked keys.",
        },
    )
    def post(self, request: Request) -> Response:
        """Propose a named set of rights; it is there once a second person confirmed it."""
        return Response(
            ProposalGiven(ask_to_make(**_facts(self.taken), by=self.person)).data, status=202
        )


class PortalRoleView(AdministratorView):
    sees = right = PortalRight.MANAGE_ROLES

    @operation("get_portal_role", "Read a portal role.", gives=PortalRoleGiven, refuses=_MISSING)
    def get(self, request: Request, role: uuid.UUID) -> Response:
        """Answer one of the roles that were made here."""
        return Response(PortalRoleGiven(_role(role)).data)

    @operation(
        "change_portal_role",
        "Change a portal role.",
        takes=NewPortalRole,
        gives=ChangedPortalRoleGiven,
        refuses=_MISSING,
        example={
            "name": "Support",
            "rights": ["see_people"],
            "reason": "Keys are revoked by security alone.",
        },
    )
    def put(self, request: Request, role: uuid.UUID) -> Response:
        """Replace what the role allows. Where that makes it wider, it is proposed to a second person."""
        found = _role(role)
        made = ask_to_change(found, **_facts(self.taken), by=self.person)
        found.refresh_from_db()
        return Response(ChangedPortalRoleGiven({"role": found, "proposal": made}).data)

    @operation(
        "remove_portal_role",
        "Remove a portal role.",
        gives=None,
        status=204,
        refuses=_MISSING,
    )
    def delete(self, request: Request, role: uuid.UUID) -> Response:
        """Remove a role that nobody has."""
        remove_role(_role(role), actor=self.actor)
        return done()


def _role(role_id: uuid.UUID) -> CustomRole:
    return get_object_or_404(CustomRole, pk=role_id, team=None)


def _facts(taken: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": taken["name"],
        "description": taken.get("description", ""),
        "rights": [PortalRight(right) for right in taken["rights"]],
        "why": taken["reason"],
    }


def _roles_of(person: User, made: Proposal | None) -> Response:
    person.refresh_from_db()
    roles = [str(getattr(role, "pk", role)) for role in portal_roles(person)]
    return Response(RolesGiven({"roles": roles, "proposal": made}).data)
