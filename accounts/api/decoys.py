"""Decoy keys, for whoever may revoke keys. The text of one is in the answer that issues it and never again."""

import uuid

from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import Given, Taken, Text
from accounts.api.operations import operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.problems import ProblemCode
from accounts.api.views import AdministratorView
from accounts.models import DecoyKey
from accounts.roles import PortalRight
from accounts.writes.decoys import end_decoy, issue_decoy


class DecoyGiven(Given):
    id = serializers.UUIDField()
    public_id = serializers.CharField()
    name = serializers.CharField()
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class DecoyUseGiven(Given):
    peer = serializers.CharField(help_text="An IPv6 address stands for its /64.")
    user_agent = serializers.CharField()
    door = serializers.CharField()
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    times = serializers.IntegerField()


class DecoyWithUsesGiven(DecoyGiven):
    uses = DecoyUseGiven(many=True, source="newest_uses", help_text="The newest addresses first.")


class IssuedDecoyGiven(DecoyGiven):
    key = serializers.CharField(help_text="Shown here and never again.")


class NewDecoy(Taken):
    name = Text(max_length=200, help_text="Where it is put.")


class Decoys(AdministratorView):
    sees = PortalRight.REVOKE_KEYS
    right = PortalRight.REVOKE_KEYS

    @operation(
        "list_decoys",
        "List decoy keys.",
        gives=page_of(DecoyGiven, "DecoyPageGiven"),
        query=PageQuery,
    )
    def get(self, request: Request) -> Response:
        """Answer every decoy, the newest first."""
        return self.page(DecoyKey.objects.all(), DecoyGiven, by="-id", of="decoys")

    @operation(
        "issue_decoy",
        "Issue a decoy key.",
        takes=NewDecoy,
        gives=IssuedDecoyGiven,
        status=201,
        example={"name": "The wiki's page on deployments"},
    )
    def post(self, request: Request) -> Response:
        """Make a key that grants nothing and tells whoever may revoke keys of its first use from each address."""
        issued = issue_decoy(name=self.taken["name"], actor=self.actor)
        facts = DecoyGiven(issued.decoy).data | {"key": issued.text}
        return Response(facts, status=201)


class DecoyView(AdministratorView):
    sees = PortalRight.REVOKE_KEYS
    right = PortalRight.REVOKE_KEYS

    @operation(
        "get_decoy",
        "Read a decoy key.",
        gives=DecoyWithUsesGiven,
        refuses=[ProblemCode.NOT_FOUND],
    )
    def get(self, request: Request, decoy: uuid.UUID) -> Response:
        """Answer a decoy, and from where it was used."""
        return Response(DecoyWithUsesGiven(get_object_or_404(DecoyKey, pk=decoy)).data)


class EndDecoy(AdministratorView):
    right = PortalRight.REVOKE_KEYS

    @operation("end_decoy", "End a decoy key.", gives=DecoyGiven, refuses=[ProblemCode.NOT_FOUND])
    def post(self, request: Request, decoy: uuid.UUID) -> Response:
        """Tell of its use no longer."""
        found = get_object_or_404(DecoyKey, pk=decoy)
        end_decoy(found, actor=self.actor)
        found.refresh_from_db()
        return Response(DecoyGiven(found).data)
