"""Whoever holds the old secret of a key that was rotated by itself fetches the new one."""

from typing import Any

from rest_framework import serializers
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.authentication import AnyKeyAuthentication
from accounts.api.fields import Given
from accounts.api.operations import operation
from accounts.api.problems import Problem, ProblemCode
from accounts.api.views import ManagementView
from accounts.ways_in.proven import Proven
from accounts.writes.key_schedule import hand_over


class HoldsKey(BasePermission):
    """Whoever came with an API key, whatever its scopes: a service account's too."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, Proven) and request.auth.key is not None


class HandedOverGiven(Given):
    text = serializers.CharField(
        help_text="The key with its new secret, given here and never again."
    )
    old_secret_ends_at = serializers.DateTimeField(help_text="The old one works until then.")


class HandOverView(ManagementView):
    authentication_classes = [AnyKeyAuthentication]
    permission_classes = [HoldsKey]

    @operation(
        "fetch_new_secret",
        "Fetch a key's new secret.",
        gives=HandedOverGiven,
        refuses=[ProblemCode.NOT_FOUND],
    )
    def post(self, request: Request) -> Response:
        """Answer the new secret of the key that this request comes with, by its old one, once.

        It waits from the rotation that the key's age asked for until the old secret ends. Where none waits this is 404, so a
        service may ask daily, whichever secret it holds. Under an Idempotency-Key a repetition gets it once more, for a day.
        """
        proven: Any = request.auth
        text = hand_over(proven.key) if proven.by_previous_secret else None
        if text is None:
            raise Problem(ProblemCode.NOT_FOUND)
        return Response({"text": text, "old_secret_ends_at": proven.expires_at})
