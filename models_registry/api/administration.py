"""Models with where they are served, grants and everybody's keys, for administrators."""

import uuid
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import Choice, Decimal, Given, Id, Moment, Taken, Text, Whole
from accounts.api.operations import Positive, Reason, operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.problems import ProblemCode, invalid
from accounts.api.views import AdministratorView
from accounts.models import ApiKey, ServiceAccount, Team
from accounts.models.keys import Scope
from accounts.writes.keys import revoke_key
from models_registry.api.keys import KeyGiven
from models_registry.api.models import PRICE, GrantGiven, ModelGiven
from models_registry.models import (
    AiModel,
    DataClass,
    Grant,
    HangUp,
    ModelKind,
    ModelStatus,
    OutputCapMember,
    Provider,
    Visibility,
)
from models_registry.writes.catalogue import add_model, deploy_model, set_model_status
from models_registry.writes.grants import end_grant, grant_model

_MISSING = [ProblemCode.NOT_FOUND]
TOKENS_MAX = 2_147_483_647
PRICE_MAX = 1_000_000_000_000


class DeploymentGiven(Given):
    id = serializers.UUIDField()
    provider_id = serializers.UUIDField()
    upstream_name = serializers.CharField()
    position = serializers.IntegerField(help_text="The lowest is used first.")
    enabled = serializers.BooleanField()


class AnyModelGiven(ModelGiven):
    id = serializers.UUIDField()
    visibility = serializers.ChoiceField(choices=Visibility.choices)
    tokens_per_byte = serializers.FloatField()
    extra_members = serializers.ListField(child=serializers.CharField())
    output_cap_member = serializers.ChoiceField(choices=OutputCapMember.choices)
    hang_up = serializers.ChoiceField(choices=HangUp.choices)
    created_at = serializers.DateTimeField()
    deployments = DeploymentGiven(many=True)


class ModelFacts(Taken):
    description = Text(max_length=5000, required=False, allow_blank=True)
    owner_id = Id(required=False, allow_null=True, help_text="The team that answers for it.")
    data_class = Choice(choices=DataClass.choices, required=False)
    visibility = Choice(choices=Visibility.choices, required=False)
    context_tokens = Whole(min_value=1, max_value=TOKENS_MAX)
    max_output_tokens = Whole(min_value=0, max_value=TOKENS_MAX, required=False)
    tokens_per_byte = Decimal(min_value=0.05, max_value=100, required=False)
    price_input = Whole(min_value=0, max_value=PRICE_MAX, required=False, help_text=PRICE)
    price_cached_input = Whole(min_value=0, max_value=PRICE_MAX, required=False, help_text=PRICE)
    price_output = Whole(min_value=0, max_value=PRICE_MAX, required=False, help_text=PRICE)
    extra_members = serializers.ListField(child=Text(max_length=60), max_length=50, required=False)
    output_cap_member = Choice(choices=OutputCapMember.choices, required=False)
    hang_up = Choice(choices=HangUp.choices, required=False)


class NewModel(ModelFacts):
    name = Text(max_length=120, help_text="The name that calls use.")
    kind = Choice(choices=ModelKind.choices)


class NewStatus(Taken):
    status = Choice(choices=ModelStatus.choices)
    sunset_at = Moment(
        required=False, help_text="When a model that is being deprecated stops answering."
    )


class NewDeployment(Taken):
    provider_id = Id()
    upstream_name = Text(max_length=200, help_text="The provider's own name for the model.")
    position = Whole(min_value=0, max_value=32_767, required=False)


class AnyModelQuery(PageQuery):
    search = Text(required=False, max_length=100, help_text="A part of the name.")
    status = Choice(choices=ModelStatus.choices, required=False)


class AllModels(AdministratorView):
    @operation(
        "list_all_models",
        "List all models.",
        gives=page_of(AnyModelGiven, "AnyModelPageGiven"),
        query=AnyModelQuery,
    )
    def get(self, request: Request) -> Response:
        """Answer every model, drafts and retired ones included, with where it is served."""
        models: QuerySet[AiModel] = _models()
        if "search" in self.asked:
            models = models.filter(name__icontains=self.asked["search"])
        if "status" in self.asked:
            models = models.filter(status=self.asked["status"])
        return self.page(models, AnyModelGiven, by="name", of="all-models")

    @operation(
        "add_model",
        "Add a model.",
        takes=NewModel,
        gives=AnyModelGiven,
        status=201,
        example={
            "name": "qwen3-32b",
            "kind": "chat",
            "context_tokens": 32768,
            "max_output_tokens": 8192,
            "price_input": 400000,
            "price_output": 1200000,
        },
    )
    def post(self, request: Request) -> Response:
        """Make a draft, which nobody can call before it is deployed, published and granted."""
        facts = _with_owner(self.taken)
        kind = ModelKind(facts.pop("kind"))
        made = add_model(facts.pop("name"), kind=kind, actor=self.actor, **facts)
        return _answer(made.pk, status=201)


class AnyModelView(AdministratorView):
    @operation("get_any_model", "Read any model.", gives=AnyModelGiven, refuses=_MISSING)
    def get(self, request: Request, model: uuid.UUID) -> Response:
        """Answer one model with where it is served."""
        return _answer(model)


class ModelStatusView(AdministratorView):
    @operation(
        "set_model_status",
        "Move a model along its life.",
        takes=NewStatus,
        gives=AnyModelGiven,
        refuses=_MISSING,
        example={"status": "deprecated", "sunset_at": "2027-06-30T00:00:00Z"},
    )
    def put(self, request: Request, model: uuid.UUID) -> Response:
        """Publish, deprecate or retire a model; what is retired stays so."""
        found = get_object_or_404(AiModel, pk=model)
        set_model_status(
            found,
            status=ModelStatus(self.taken["status"]),
            sunset_at=self.taken.get("sunset_at"),
            actor=self.actor,
        )
        return _answer(model)


class Deployments(AdministratorView):
    @operation(
        "deploy_model",
        "Say where a model is served.",
        takes=NewDeployment,
        gives=DeploymentGiven,
        status=201,
        refuses=_MISSING,
    )
    def post(self, request: Request, model: uuid.UUID) -> Response:
        """Say that a provider serves the model, and under which name."""
        found = get_object_or_404(AiModel, pk=model)
        provider = Provider.objects.filter(pk=self.taken["provider_id"]).first()
        if provider is None:
            raise invalid({"provider_id": ["No provider has this id."]})
        made = deploy_model(
            found,
            provider=provider,
            upstream_name=self.taken["upstream_name"],
            position=self.taken.get("position", 0),
            actor=self.actor,
        )
        return Response(DeploymentGiven(made).data, status=201)


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
    @operation(
        "list_all_keys",
        "List everybody's API keys.",
        gives=page_of(KeyGiven, "AnyKeyPageGiven"),
        query=AnyKeyQuery,
    )
    def get(self, request: Request) -> Response:
        """Answer every key, the newest first; the text of none."""
        keys = ApiKey.objects.select_related("use").prefetch_related("models__model")
        for name in ("team_id", "public_id"):
            if name in self.asked:
                keys = keys.filter(**{name: self.asked[name]})
        return self.page(keys, KeyGiven, by="-id", of="all-keys")


class RevokeAnyKey(AdministratorView):
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


def _models() -> QuerySet[AiModel]:
    return AiModel.objects.select_related("owner").prefetch_related("deployments")


def _answer(model_id: uuid.UUID, *, status: int = 200) -> Response:
    return Response(AnyModelGiven(get_object_or_404(_models(), pk=model_id)).data, status=status)


def _with_owner(taken: dict[str, Any]) -> dict[str, Any]:
    """The facts with the owner in the place of its id. Raises: Problem."""
    facts = dict(taken)
    if "owner_id" not in facts:
        return facts
    owner_id = facts.pop("owner_id")
    facts["owner"] = None if owner_id is None else Team.objects.filter(pk=owner_id).first()
    if owner_id is not None and facts["owner"] is None:
        raise invalid({"owner_id": ["No team has this id."]})
    return facts


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
