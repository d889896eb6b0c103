"""Models with where they are served, for administrators."""

import uuid
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import Choice, Decimal, Flag, Given, Id, Moment, Taken, Text, Whole
from accounts.api.operations import operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.problems import ProblemCode, invalid
from accounts.api.views import AdministratorView
from accounts.models import Team
from accounts.roles import PortalRight
from models_registry.api.models import AS_INPUT, AS_OUTPUT, PRICE, ModelGiven
from models_registry.models import (
    AiModel,
    DataClass,
    Deployment,
    HangUp,
    ModelKind,
    ModelStatus,
    OutputCapMember,
    Provider,
    Visibility,
)
from models_registry.writes.catalogue import (
    add_model,
    change_deployment,
    change_model,
    deploy_model,
    set_model_status,
)

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


class PriceApart(Whole):
    """A price that may be left to another's."""

    def __init__(self, **options: Any) -> None:
        bounds = {"min_value": 0, "max_value": PRICE_MAX, "required": False, "allow_null": True}
        super().__init__(**(bounds | options))


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
    price_reasoning = PriceApart(help_text=AS_OUTPUT)
    price_audio_input = PriceApart(help_text=AS_INPUT)
    price_audio_output = PriceApart(help_text=AS_OUTPUT)
    extra_members = serializers.ListField(child=Text(max_length=60), max_length=50, required=False)
    output_cap_member = Choice(choices=OutputCapMember.choices, required=False)
    hang_up = Choice(choices=HangUp.choices, required=False)


class ModelChange(ModelFacts):
    """What is not named stays."""

    context_tokens = Whole(min_value=1, max_value=TOKENS_MAX, required=False)


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
    sees = PortalRight.SEE_REGISTRY
    right = PortalRight.MANAGE_REGISTRY

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
    sees = PortalRight.SEE_REGISTRY
    right = PortalRight.MANAGE_REGISTRY

    @operation("get_any_model", "Read any model.", gives=AnyModelGiven, refuses=_MISSING)
    def get(self, request: Request, model: uuid.UUID) -> Response:
        """Answer one model with where it is served."""
        return _answer(model)

    @operation(
        "change_model",
        "Change a model.",
        takes=ModelChange,
        gives=AnyModelGiven,
        refuses=_MISSING,
        example={"price_output": 1500000},
    )
    def patch(self, request: Request, model: uuid.UUID) -> Response:
        """Change facts of a model. Its name and kind are what callers rely on, and stay."""
        found = get_object_or_404(AiModel, pk=model)
        change_model(found, actor=self.actor, **_with_owner(self.taken))
        return _answer(model)


class ModelStatusView(AdministratorView):
    right = PortalRight.MANAGE_REGISTRY

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
    right = PortalRight.MANAGE_REGISTRY

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


class DeploymentChange(Taken):
    """What is not named stays."""

    enabled = Flag(required=False)
    position = Whole(min_value=0, max_value=32_767, required=False)


class DeploymentView(AdministratorView):
    right = PortalRight.MANAGE_REGISTRY

    @operation(
        "change_deployment",
        "Switch or move a deployment.",
        takes=DeploymentChange,
        gives=DeploymentGiven,
        refuses=_MISSING,
        example={"enabled": False},
    )
    def patch(self, request: Request, deployment: uuid.UUID) -> Response:
        """Switch a deployment on or off, or move it in its model's order."""
        found = get_object_or_404(Deployment, pk=deployment)
        change_deployment(found, actor=self.actor, **self.taken)
        found.refresh_from_db()
        return Response(DeploymentGiven(found).data)


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
