from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import memberships_of
from accounts.api.fields import Given
from accounts.api.operations import operation
from accounts.api.permissions import MayAsk, rights_by
from accounts.api.views import ManagementView
from accounts.models import Membership
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.roles import PortalRight, rights_of
from accounts.ways_in.proven import Proven


class MyTeamGiven(Given):
    id = serializers.UUIDField(source="team.id")
    slug = serializers.SlugField(source="team.slug")
    name = serializers.CharField(source="team.name")
    role = serializers.ChoiceField(
        choices=[*Role.choices, ""],
        help_text="Empty where the member has a role of the team's own.",
    )
    role_name = serializers.CharField(help_text="The role as people read it.")
    rights = serializers.SerializerMethodField(help_text="What the request may do in the team.")

    def get_rights(self, membership: Membership) -> list[str]:
        return sorted(rights_of(membership))


class MyKeyGiven(Given):
    id = serializers.UUIDField()
    public_id = serializers.CharField()
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices))
    expires_at = serializers.DateTimeField()


class MeGiven(Given):
    id = serializers.UUIDField()
    email = serializers.EmailField()
    name = serializers.CharField()
    is_administrator = serializers.BooleanField(
        help_text="Whether all of the administrators' part of this API is open to this request."
    )
    portal_rights = serializers.ListField(
        child=serializers.ChoiceField(choices=[right.value for right in PortalRight]),
        help_text="What this request may do there.",
    )
    teams = MyTeamGiven(many=True, help_text="The teams in which this request acts.")
    key = MyKeyGiven(
        allow_null=True, help_text="The key this request came with; null for a token and a browser."
    )


class Me(ManagementView):
    """Who asks."""

    permission_classes = [MayAsk]

    @operation("get_me", "Say who asks, and in which teams.", gives=MeGiven)
    def get(self, request: Request) -> Response:
        """Answer the person of the session or of the credential. A credential acts in its own team alone."""
        person = self.person
        proven = request.auth if isinstance(request.auth, Proven) else None
        rights = rights_by(person, proven)
        memberships = (
            memberships_of(person)
            .filter(team__disabled_at__isnull=True)
            .select_related("team", "custom_role")
            .order_by("team__name")
        )
        facts = {
            "id": person.pk,
            "email": person.email,
            "name": person.name,
            "is_administrator": rights == frozenset(PortalRight),
            "portal_rights": sorted(rights),
            "teams": memberships,
            "key": proven and proven.key,
        }
        return Response(MeGiven(facts).data)
