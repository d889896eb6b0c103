"""Revoke many keys at once: read first which are hit, then send back the fingerprint of that answer."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import Flag, Given, Id, Taken, Text
from accounts.api.operations import operation
from accounts.api.problems import ProblemCode, invalid
from accounts.api.views import AdministratorView
from accounts.models import Team, User
from accounts.roles import PortalRight
from accounts.writes.key_selections import KeySelection, preview_selection, revoke_selection


class KeySelectionTaken(Taken):
    """What is left out says nothing; what is named has to hold all together."""

    team_id = Id(required=False)
    person_id = Id(required=False, help_text="Held by this person.")
    issued_too = Flag(required=False, help_text="Or issued by the person for whatever holder.")
    network = Text(
        max_length=50, required=False, help_text="Used from this address or CIDR in the last week."
    )
    leaked = Flag(required=False, help_text="Found where others can read them.")


class RevocationTaken(KeySelectionTaken):
    fingerprint = Text(max_length=64, help_text="Of the preview, so that nothing else is hit.")
    reason = Text(max_length=500, help_text="It stands in the audit trail.")


class HitKeyGiven(Given):
    id = serializers.UUIDField()
    public_id = serializers.CharField()
    name = serializers.CharField()
    team_id = serializers.UUIDField()
    service_account_id = serializers.UUIDField(allow_null=True)
    person_id = serializers.UUIDField(allow_null=True)


class KeySelectionPreviewGiven(Given):
    keys = HitKeyGiven(many=True)
    fingerprint = serializers.CharField()
    is_cut = serializers.BooleanField(help_text="There are more, which another round hits.")


class RevocationGiven(Given):
    count = serializers.IntegerField()
    is_cut = serializers.BooleanField(help_text="There are more: preview and revoke again.")


class PreviewRevocation(AdministratorView):
    right = PortalRight.REVOKE_KEYS

    @operation(
        "preview_revocation",
        "Say which keys a selection hits.",
        takes=KeySelectionTaken,
        gives=KeySelectionPreviewGiven,
        refuses=[ProblemCode.NOT_FOUND],
        example={"network": "203.0.113.0/24"},
    )
    def post(self, request: Request) -> Response:
        """Answer the keys that still work and are hit, 1,000 at most. Nothing is revoked."""
        return Response(KeySelectionPreviewGiven(preview_selection(_selection(self.taken))).data)


class RevokeKeys(AdministratorView):
    right = PortalRight.REVOKE_KEYS

    @operation(
        "revoke_keys",
        "Revoke many keys.",
        takes=RevocationTaken,
        gives=RevocationGiven,
        refuses=[ProblemCode.NOT_FOUND],
        example={
            "network": "203.0.113.0/24",
            "fingerprint": "9c56cc51b374c3ba189210d5b6d4bf57",
            "reason": "Calls came from a network that is none of ours.",
        },
    )
    def post(self, request: Request) -> Response:
        """Revoke exactly the keys that the preview showed; where the selection hits others by now, none."""
        taken = dict(self.taken)
        fingerprint, reason = taken.pop("fingerprint"), taken.pop("reason")
        done = revoke_selection(
            _selection(taken), fingerprint=fingerprint, actor=self.actor, reason=reason
        )
        return Response(RevocationGiven(done).data)


def _selection(taken: dict[str, Any]) -> KeySelection:
    facts = dict(taken)
    return KeySelection(
        team=_row(Team, "team_id", facts.pop("team_id", None)),
        person=_row(User, "person_id", facts.pop("person_id", None)),
        **facts,
    )


def _row(model: type[Any], field: str, pk: object) -> Any:
    """Raises: Problem for an id that nobody has."""
    if pk is None:
        return None
    found = model.objects.filter(pk=pk).first()
    if found is None:
        raise invalid({field: ["Nobody has this id."]})
    return found
