"""API keys: listed, issued, read, narrowed and revoked. A key's text is answered once, when it is issued."""

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import access_key, access_service_account, access_team, keys_of
from accounts.api.bounds import HoursGiven, HoursTaken
from accounts.api.fields import Choice, Given, Id, Moment, Taken, Text
from accounts.api.operations import Positive, Reason, operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.problems import ProblemCode
from accounts.api.views import ManagementView
from accounts.key_use import use_of_old_secret
from accounts.models import ApiKey, ServiceAccount, Team, User
from accounts.models.keys import Scope
from accounts.roles import Right
from accounts.writes.idle_keys import enable_key
from accounts.writes.keys import revoke_key
from models_registry.api.key_bounds import refuse_wider_key, refuse_wider_models
from models_registry.api.named_models import models_named
from models_registry.writes.grants import narrow_key
from models_registry.writes.keys import MODELS_MAX, issue_key_as


class OldSecretGiven(Given):
    """The secret that the last rotation replaced: who still calls with it, so that nobody breaks unawares."""

    ends_at = serializers.DateTimeField(help_text="It works until then.")
    calls = serializers.IntegerField(help_text="Calls with it since the rotation.")
    last_used_at = serializers.DateTimeField(allow_null=True)
    last_peer = serializers.CharField(allow_null=True)


class KeyGiven(Given):
    id = serializers.UUIDField()
    public_id = serializers.CharField(help_text="The part of the key that may be shown.")
    name = serializers.CharField()
    team_id = serializers.UUIDField()
    service_account_id = serializers.UUIDField(allow_null=True)
    person_id = serializers.UUIDField(allow_null=True)
    purpose = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    cost_centre = serializers.CharField()
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices))
    networks = serializers.ListField(child=serializers.CharField())
    hours = HoursGiven(allow_null=True, help_text="When it may be used; null means at any time.")
    models = serializers.SerializerMethodField(
        help_text="The models it may call, of those granted; null where it is not narrowed."
    )
    requests_per_minute = serializers.IntegerField(allow_null=True)
    tokens_per_minute = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    disabled_at = serializers.DateTimeField(
        allow_null=True, help_text="Since when it is refused because nobody used it."
    )
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoked_reason = serializers.CharField()
    last_used_at = serializers.DateTimeField(
        source="use.last_used_at", default=None, allow_null=True, help_text="To the minute."
    )
    last_peer = serializers.CharField(source="use.last_peer", default=None, allow_null=True)
    rotated_at = serializers.DateTimeField(allow_null=True)
    rotates_after_days = serializers.IntegerField(
        allow_null=True, help_text="At which age of its secret it is rotated by itself."
    )
    old_secret = serializers.SerializerMethodField(
        help_text="Of the last rotation; null for a key that was never rotated."
    )

    @extend_schema_field(OldSecretGiven(allow_null=True))
    def get_old_secret(self, key: ApiKey) -> dict[str, Any] | None:
        if key.previous_ends_at is None:
            return None
        use = use_of_old_secret(key)
        return {
            "ends_at": key.previous_ends_at,
            "calls": use.calls if use else 0,
            "last_used_at": use.last_used_at if use else None,
            "last_peer": use.last_peer if use else None,
        }

    def get_models(self, key: ApiKey) -> list[str] | None:
        names = sorted(named.model.name for named in key.models.all())
        return names if key.is_narrowed or names else None


class IssuedKeyGiven(KeyGiven):
    text = serializers.CharField(help_text="The key itself, shown here and never again.")


class KeyQuery(PageQuery):
    team = Text(required=False, max_length=60, help_text="The slug of one of your teams.")


class NewKey(Taken):
    team = Text(max_length=60, help_text="The slug of the team it belongs to.")
    service_account_id = Id(
        required=False, help_text="The application that holds it; without one, you do."
    )
    name = Text(max_length=100)
    purpose = Text(max_length=500, required=False, allow_blank=True)
    tags = serializers.ListField(child=Text(max_length=60), max_length=20, required=False)
    cost_centre = Text(
        max_length=60, required=False, allow_blank=True, help_text="The team's, unless given."
    )
    scopes = serializers.ListField(
        child=Choice(choices=Scope.choices), min_length=1, max_length=len(Scope)
    )
    networks = serializers.ListField(
        child=Text(max_length=50),
        max_length=100,
        required=False,
        help_text="CIDRs it may be used from; none means from anywhere.",
    )
    hours = HoursTaken(
        required=False, allow_null=True, help_text="When it may be used; null means at any time."
    )
    models = serializers.ListField(
        child=Text(max_length=120),
        min_length=1,
        max_length=MODELS_MAX,
        required=False,
        help_text="Narrows the key to these, of the models granted.",
    )
    requests_per_minute = Positive(required=False, allow_null=True)
    tokens_per_minute = Positive(required=False, allow_null=True)
    expires_at = Moment(help_text="At most 366 days from now.")


class NarrowedModels(Taken):
    models = serializers.ListField(child=Text(max_length=120), min_length=1, max_length=MODELS_MAX)


_EXAMPLE = {
    "team": "invoicing",
    "name": "invoice-reader in production",
    "scopes": ["chat"],
    "models": ["qwen3-32b"],
    "networks": ["10.20.0.0/16"],
    "expires_at": "2027-01-31T00:00:00Z",
}
_MISSING = [ProblemCode.NOT_FOUND]


class Keys(ManagementView):
    @operation(
        "list_keys",
        "List API keys.",
        gives=page_of(KeyGiven, "KeyPageGiven"),
        query=KeyQuery,
        refuses=_MISSING,
    )
    def get(self, request: Request) -> Response:
        """Answer your own keys and those of teams whose keys you manage or audit, the newest first."""
        keys = keys_of(self.person).prefetch_related("models__model")
        if "team" in self.asked:
            keys = keys.filter(team=access_team(self.person, self.asked["team"]))
        return self.page(keys, KeyGiven, by="-id", of="keys")

    @operation(
        "issue_key",
        "Issue an API key.",
        takes=NewKey,
        gives=IssuedKeyGiven,
        status=201,
        refuses=_MISSING,
        example=_EXAMPLE,
    )
    def post(self, request: Request) -> Response:
        """Make a key for yourself or for a service account of a team whose keys you manage.

        It lasts at most a year, and its limits are at most what a key without limits gets; administrators set more.
        Its text is in this answer and never again. Under an Idempotency-Key a repetition gets it once more, for a day.
        A key cannot issue a key that may manage, that ends later, that has other scopes, works from more networks, in other
        hours, or calls more models than itself. A token issues none.
        """
        facts = dict(self.taken)
        team, holder = self._holder(facts.pop("team"), facts.pop("service_account_id", None))
        names = facts.pop("models", None)
        refuse_wider_key(request.auth, facts, names)
        facts["scopes"] = [Scope(scope) for scope in facts["scopes"]]
        models = None if names is None else models_named(self.person, names)
        issued = issue_key_as(self.person, team=team, holder=holder, models=models, **facts)
        return Response(KeyGiven(issued.key).data | {"text": issued.text}, status=201)

    def _holder(
        self, slug: str, account_id: uuid.UUID | None
    ) -> tuple[Team, ServiceAccount | User]:
        if account_id is None:
            return access_team(self.person, slug, right=Right.ISSUE_OWN_KEYS), self.person
        team = access_team(self.person, slug, right=Right.MANAGE_KEYS)
        account = access_service_account(self.person, account_id, right=Right.MANAGE_KEYS)
        return team, account


class KeyView(ManagementView):
    @operation("get_key", "Read an API key.", gives=KeyGiven, refuses=_MISSING)
    def get(self, request: Request, key: uuid.UUID) -> Response:
        """Answer what is known of a key, its text excepted."""
        return Response(KeyGiven(access_key(self.person, key)).data)


class RevokeKey(ManagementView):
    @operation(
        "revoke_key",
        "Revoke an API key.",
        takes=Reason,
        gives=KeyGiven,
        refuses=_MISSING,
        example={"reason": "It was found in a log."},
    )
    def post(self, request: Request, key: uuid.UUID) -> Response:
        """End a key for good: it is refused within a second, and its open streams are cut within five."""
        found = access_key(self.person, key, to_change=True)
        revoke_key(found, actor=self.actor, reason=self.taken["reason"])
        return Response(KeyGiven(access_key(self.person, key)).data)


class EnableKey(ManagementView):
    @operation("enable_key", "Enable an API key.", gives=KeyGiven, refuses=_MISSING)
    def post(self, request: Request, key: uuid.UUID) -> Response:
        """Let a key that was disabled because nobody used it be used again, within a second."""
        enable_key(access_key(self.person, key, to_change=True), actor=self.actor)
        return Response(KeyGiven(access_key(self.person, key)).data)


class KeyModels(ManagementView):
    @operation(
        "narrow_key",
        "Narrow an API key.",
        takes=NarrowedModels,
        gives=KeyGiven,
        refuses=_MISSING,
        example={"models": ["qwen3-32b"]},
    )
    def put(self, request: Request, key: uuid.UUID) -> Response:
        """Let a key call only these models of those granted. A list can be replaced and never taken away."""
        found = access_key(self.person, key, to_change=True)
        names = self.taken["models"]
        refuse_wider_models(request.auth, names, of=found)
        narrow_key(found, models=models_named(self.person, names), actor=self.actor)
        return Response(KeyGiven(access_key(self.person, key)).data)
