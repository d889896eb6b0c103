from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import Choice, Given, Text
from accounts.api.operations import operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.problems import ProblemCode
from accounts.api.views import ManagementView
from models_registry.access import access_model, grants_of, models_seen_by
from models_registry.models import DataClass, ModelKind, ModelStatus

PRICE = "Micro-USD (1e-6 USD) per million tokens."
AS_INPUT = f"{PRICE} null: as input."
AS_OUTPUT = f"{PRICE} null: as output."


class ModelGiven(Given):
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=ModelKind.choices)
    description = serializers.CharField()
    owner = serializers.SlugField(
        source="owner.slug",
        default=None,
        allow_null=True,
        help_text="The team that answers for it.",
    )
    data_class = serializers.ChoiceField(
        choices=DataClass.choices, help_text="The most sensitive data it may be sent."
    )
    status = serializers.ChoiceField(choices=ModelStatus.choices)
    deprecated_at = serializers.DateTimeField(allow_null=True)
    sunset_at = serializers.DateTimeField(allow_null=True)
    context_tokens = serializers.IntegerField()
    max_output_tokens = serializers.IntegerField()
    price_input = serializers.IntegerField(help_text=PRICE)
    price_cached_input = serializers.IntegerField(help_text=PRICE)
    price_output = serializers.IntegerField(help_text=PRICE)
    price_reasoning = serializers.IntegerField(allow_null=True, help_text=AS_OUTPUT)
    price_audio_input = serializers.IntegerField(allow_null=True, help_text=AS_INPUT)
    price_audio_output = serializers.IntegerField(allow_null=True, help_text=AS_OUTPUT)


class ModelQuery(PageQuery):
    search = Text(required=False, max_length=100, help_text="A part of the name or description.")
    kind = Choice(choices=ModelKind.choices, required=False)
    data_class = Choice(choices=DataClass.choices, required=False)


class Models(ManagementView):
    @operation(
        "list_models",
        "List the catalogue.",
        gives=page_of(ModelGiven, "ModelPageGiven"),
        query=ModelQuery,
    )
    def get(self, request: Request) -> Response:
        """Answer what is offered to everyone, and what a team of yours was granted or owns, by name."""
        models = models_seen_by(self.person)
        for name in ("kind", "data_class"):
            if name in self.asked:
                models = models.filter(**{name: self.asked[name]})
        if "search" in self.asked:
            part = self.asked["search"]
            models = models.filter(name__icontains=part) | models.filter(
                description__icontains=part
            )
        return self.page(models, ModelGiven, by="name", of="models")


class ModelView(ManagementView):
    @operation("get_model", "Read a model.", gives=ModelGiven, refuses=[ProblemCode.NOT_FOUND])
    def get(self, request: Request, name: str) -> Response:
        """Answer one model of the catalogue, by the name that calls use."""
        return Response(ModelGiven(access_model(self.person, name)).data)


class GrantGiven(Given):
    id = serializers.UUIDField()
    model = serializers.CharField(source="model.name")
    team_id = serializers.UUIDField(allow_null=True)
    service_account_id = serializers.UUIDField(allow_null=True)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=ModelKind.choices))
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    requests_per_minute = serializers.IntegerField(
        allow_null=True, help_text="Over all keys that use the grant; null sets none."
    )
    tokens_per_minute = serializers.IntegerField(
        allow_null=True, help_text="Over all keys that use the grant; null sets none."
    )


class Grants(ManagementView):
    @operation(
        "list_grants",
        "List your grants.",
        gives=page_of(GrantGiven, "GrantPageGiven"),
        query=PageQuery,
    )
    def get(self, request: Request) -> Response:
        """Answer the live and coming grants of your teams and of their service accounts, the newest first."""
        grants = grants_of(self.person).select_related("model")
        return self.page(grants, GrantGiven, by="-id", of="grants")
