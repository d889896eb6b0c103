"""Grants and everybody's keys, for administrators."""

import uuid
from typing import Any

from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import Choice, Id, Moment, Taken, Text
from accounts.api.operations import Positive, Reason, operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.problems import ProblemCode, invalid
from accounts.api.views import AdministratorView
from accounts.models import ApiKey, ServiceAccount, Team
from accounts.models.keys import Scope
from accounts.roles import PortalRight
from accounts.writes.keys import revoke_key
from models_registry.api.keys import KeyGiven
from models_registry.api.models import GrantGiven
from models_registry.models import AiModel, Grant, ModelKind
from models_registry.writes.grants import end_grant, grant_model

_MISSING = [ProblemCode.NOT_FOUND]


class NewGrant(Taken):
    model = Text(max_length=120)
    team_id = Id(required=False, help_text="The team, or the application, that may call it.")
    service_account_id = Id(required=False)
    scopes = serializers.ListField(
        child=Choice(choices=ModelKind.choices), min_length=1, max_length=2
    )
    starts_at = Moment(required=False)
    ends_at = Moment()
    requests_per_minute = Positive(required=False, allow_null=True)
    tokens_per_minute = Positive(required=False, allow_null=True)


class AnyGrantQuery(PageQuery):
    model = Text(required=False, max_length=120)
    team_id = Id(required=False)


class AllGrants(AdministratorView):
    sees = PortalRight.SEE_REGISTRY
    right = PortalRight.MANAGE_GRANTS

    @operation(
        "list_all_grants",
        "List all grants.",
        gives=page_of(GrantGiven, "AnyGrantPageGiven"),
        query=AnyGrantQuery,
    )
    def get(self, request: Request) -> Response:
        """Answer every grant, those that have ended included, the newest first."""
        grants = Grant.objects.select_related("model")
        if "model" in self.asked:
            grants = grants.filter(model__name=self.asked["model"])
        if "team_id" in self.asked:
            team = self.asked["team_id"]
            grants = grants.filter(team=team) | grants.filter(service_account__team=team)
        return self.page(grants, GrantGiven, by="-id", of="all-grants")

    @operation(
        "grant_model",
        "Grant a model.",
        takes=NewGrant,
        gives=GrantGiven,
        status=201,
        example={
            "model": "qwen3-32b",
            "team_id": "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071",
            "scopes": ["chat"],
            "ends_at": "2027-01-31T00:00:00Z",
            "tokens_per_minute": 100000,
        },
    )
    def post(self, request: Request) -> Response:
        """Allow a team, or one of its applications, to call a model without its having asked."""
        facts: dict[str, Any] = dict(self.taken)
        to = _grantee(facts.pop("team_id", None), facts.pop("service_account_id", None))
        model = AiModel.objects.filter(name=facts.pop("model")).first()
        if model is None:
            raise invalid({"model": ["No model bears this name."]})
        facts["scopes"] = [Scope(scope) for scope in facts["scopes"]]
        made = grant_model(model, to=to, actor=self.actor, **facts)
        return Response(GrantGiven(made).data, status=201)


class EndGrant(AdministratorView):
    right = PortalRight.MANAGE_GRANTS

    @operation(
        "end_grant",
        "End a grant.",
        takes=Reason,
        gives=GrantGiven,
        refuses=_MISSING,
        example={"reason": "The project ended."},
    )
    def post(self, request: Request, grant: uuid.UUID) -> Response:
        """End a grant now; calls that stand on it are cut."""
        found = get_object_or_404(Grant.objects.select_related("model"), pk=grant)
        end_grant(found, actor=self.actor, reason=self.taken["reason"])
        found.refresh_from_db()
        return Response(GrantGiven(found).data)


class AnyKeyQuery(PageQuery):
    team_id = Id(required=False)
    public_id = Text(
        required=False, max_length=16, help_text="The part of a key that may be shown."
    )


class AllKeys(AdministratorView):
    sees = PortalRight.SEE_PEOPLE

    @operation(
        "list_all_keys",
        "List everybody's API keys.",
        gives=page_of(KeyGiven, "AnyKeyPageGiven"),
        query=AnyKeyQuery,
    )
    def get(self, request: Request) -> Response:
        """Answer every key, the newest first; the text of none."""
        keys = ApiKey.objects.select_related("use", "previous_use").prefetch_related(
            "models__model"
        )
        for name in ("team_id", "public_id"):
            if name in self.asked:
                keys = keys.filter(**{name: self.asked[name]})
        return self.page(keys, KeyGiven, by="-id", of="all-keys")


class RevokeAnyKey(AdministratorView):
    right = PortalRight.REVOKE_KEYS

    @operation(
        "revoke_any_key",
        "Revoke anybody's API key.",
        takes=Reason,
        gives=KeyGiven,
        refuses=_MISSING,
        example={"reason": "It was found in a log."},
    )
    def post(self, request: Request, key: uuid.UUID) -> Response:
        """End a key for good: it is refused within a second, and its open streams are cut within five."""
        found = get_object_or_404(ApiKey, pk=key)
        revoke_key(found, actor=self.actor, reason=self.taken["reason"])
        found.refresh_from_db()
        return Response(KeyGiven(found).data)


def _grantee(team_id: uuid.UUID | None, account_id: uuid.UUID | None) -> Team | ServiceAccount:
    """Return whom a grant is for, exactly one. Raises: Problem."""
    if (team_id is None) == (account_id is None):
        raise invalid({"team_id": ["Name a team or a service account, and not both."]})
    found: Team | ServiceAccount | None = None
    if team_id is not None:
        found = Team.objects.filter(pk=team_id).first()
    elif account_id is not None:
        found = ServiceAccount.objects.filter(pk=account_id).first()
    if found is None:
        name = "service_account_id" if team_id is None else "team_id"
        raise invalid({name: ["Nobody has this id."]})
    return found
