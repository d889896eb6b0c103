"""A key's secret is replaced while the old one still works, and the old one is ended."""

import datetime
import uuid

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import access_key, access_key_to_rotate
from accounts.api.fields import Flag, Taken, Whole
from accounts.api.operations import operation
from accounts.api.problems import ProblemCode
from accounts.api.views import ManagementView
from accounts.writes.key_rotation import OVERLAP, OVERLAP_MAX, end_old_secret, rotate_key
from accounts.writes.key_schedule import DAYS_MAX, DAYS_MIN, set_rotation
from models_registry.api.key_bounds import refuse_wider_secret
from models_registry.api.keys import IssuedKeyGiven, KeyGiven

_MISSING = [ProblemCode.NOT_FOUND]


class Rotation(Taken):
    overlap_s = Whole(
        required=False,
        min_value=0,
        max_value=int(OVERLAP_MAX.total_seconds()),
        help_text="Seconds for which the old secret works beside the new one, at most 30 days; 7 days unless given.",
    )
    new_was_lost = Flag(
        required=False,
        help_text="The new secret of a rotation whose overlap runs reached nobody: it is replaced, and the old one stays.",
    )


class RotateKey(ManagementView):
    @operation(
        "rotate_key",
        "Rotate an API key.",
        takes=Rotation,
        gives=IssuedKeyGiven,
        refuses=_MISSING,
        example={"overlap_s": 604800},
    )
    def post(self, request: Request, key: uuid.UUID) -> Response:
        """Give a key of yours, or of an application whose keys you manage, a new secret; the old one works for the overlap.

        Nothing else about the key changes, its end and its limits included, which both secrets share. The new secret is in
        this answer and never again. While an old secret works, the next rotation is refused. A key cannot rotate a key
        that may manage, that ends later or that is wider than itself, and a token none.
        """
        found = access_key_to_rotate(self.person, key)
        refuse_wider_secret(request.auth, of=found)
        overlap = datetime.timedelta(seconds=self.taken.get("overlap_s", OVERLAP.total_seconds()))
        rotated = rotate_key(
            found,
            overlap=overlap,
            actor=self.actor,
            new_was_lost=self.taken.get("new_was_lost", False),
        )
        given = KeyGiven(access_key(self.person, key)).data
        return Response(given | {"text": rotated.text})


class RotationAge(Taken):
    days = Whole(
        allow_null=True,
        min_value=DAYS_MIN,
        max_value=DAYS_MAX,
        help_text="The age of the secret in days; null leaves it to what the house demands.",
    )


class KeyRotation(ManagementView):
    @operation(
        "set_key_rotation",
        "Have an API key rotated by itself.",
        takes=RotationAge,
        gives=KeyGiven,
        refuses=_MISSING,
        example={"days": 90},
    )
    def put(self, request: Request, key: uuid.UUID) -> Response:
        """Rotate a key once its secret is so many days old, with an overlap of 7 days.

        The new secret waits to be fetched by whoever holds the old one. What the house demands of the classes of data that the
        key reaches holds all the same.
        """
        found = access_key_to_rotate(self.person, key)
        refuse_wider_secret(request.auth, of=found)
        set_rotation(found, days=self.taken["days"], actor=self.actor)
        return Response(KeyGiven(access_key(self.person, key)).data)


class EndOldSecret(ManagementView):
    @operation("end_old_secret", "End a key's old secret.", gives=KeyGiven, refuses=_MISSING)
    def post(self, request: Request, key: uuid.UUID) -> Response:
        """End what is left of a rotation's overlap: the old secret is refused within a second, and its streams are cut."""
        end_old_secret(access_key(self.person, key, to_change=True), actor=self.actor)
        return Response(KeyGiven(access_key(self.person, key)).data)
