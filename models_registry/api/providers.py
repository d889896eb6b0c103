"""Providers, for administrators. A credential goes in and never comes out."""

import uuid

from django.conf import settings
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.bounds import Networks
from accounts.api.fields import Flag, Given, Taken, Text
from accounts.api.operations import operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.problems import Problem, ProblemCode
from accounts.api.views import AdministratorView
from accounts.roles import PortalRight
from models_registry.discovery import ProviderSilent, list_upstream_models
from models_registry.models import Provider
from models_registry.models.catalogue import validate_base_url
from models_registry.writes.providers import (
    add_provider,
    change_provider,
    keep_credential_at_home,
    open_credential,
)
from portal.lib.crypto import SealBroken

_MISSING = [ProblemCode.NOT_FOUND]
_TESTED = [ProblemCode.NOT_FOUND, ProblemCode.PROVIDER_SILENT]
NETWORKS = "CIDRs from which callers may reach its models; none means from anywhere."
_ANYWAY = "Save it although it does not answer."


class ProviderGiven(Given):
    id = serializers.UUIDField()
    name = serializers.SlugField()
    base_url = serializers.CharField()
    has_credential = serializers.SerializerMethodField()
    is_demonstration = serializers.BooleanField()
    networks = serializers.ListField(child=serializers.CharField(), help_text=NETWORKS)
    created_at = serializers.DateTimeField()

    def get_has_credential(self, provider: Provider) -> bool:
        return provider.sealed_credential is not None


class NewProvider(Taken):
    name = serializers.SlugField(max_length=60)
    base_url = Text(
        max_length=500,
        validators=[validate_base_url],
        help_text="The address before /chat/completions, such as https://models.corp/v1.",
    )
    credential = Text(
        max_length=1000,
        required=False,
        allow_blank=True,
        write_only=True,
        trim_whitespace=False,
        help_text="It is sealed, and never shown again.",
    )
    networks = Networks(required=False, help_text=NETWORKS)
    save_untested = Flag(required=False, help_text=_ANYWAY)


class ProviderChange(Taken):
    base_url = Text(
        max_length=500,
        required=False,
        validators=[validate_base_url],
        help_text="Another server needs its credential named with it; an empty one is none.",
    )
    credential = Text(
        max_length=1000,
        required=False,
        allow_blank=True,
        write_only=True,
        trim_whitespace=False,
        help_text="Replaces the one there is; an empty one takes it away.",
    )
    networks = Networks(required=False, help_text=NETWORKS)
    save_untested = Flag(required=False, help_text=_ANYWAY)


class FoundModelsGiven(Given):
    models = serializers.ListField(
        child=serializers.CharField(), help_text="The names under which the provider serves models."
    )


class Providers(AdministratorView):
    sees = PortalRight.SEE_REGISTRY
    right = PortalRight.MANAGE_REGISTRY

    @operation(
        "list_providers",
        "List providers.",
        gives=page_of(ProviderGiven, "ProviderPageGiven"),
        query=PageQuery,
    )
    def get(self, request: Request) -> Response:
        """Answer every provider, by name."""
        return self.page(Provider.objects.all(), ProviderGiven, by="name", of="providers")

    @operation(
        "add_provider",
        "Add a provider.",
        takes=NewProvider,
        gives=ProviderGiven,
        status=201,
        refuses=[ProblemCode.PROVIDER_SILENT],
        example={"name": "vllm", "base_url": "https://vllm.corp/v1", "credential": "sk-…"},
    )
    def post(self, request: Request) -> Response:
        """Register a server. It is asked for its models first, and not saved where it does not answer."""
        facts = dict(self.taken)
        if not facts.pop("save_untested", False):
            _list(facts["base_url"], facts.get("credential", ""))
        made = add_provider(
            facts["name"],
            base_url=facts["base_url"],
            credential=facts.get("credential", ""),
            networks=facts.get("networks", ()),
            actor=self.actor,
        )
        return Response(ProviderGiven(made).data, status=201)


class ProviderView(AdministratorView):
    sees = PortalRight.SEE_REGISTRY
    right = PortalRight.MANAGE_REGISTRY

    @operation("get_provider", "Read a provider.", gives=ProviderGiven, refuses=_MISSING)
    def get(self, request: Request, provider: uuid.UUID) -> Response:
        """Answer one provider, its credential excepted."""
        return Response(ProviderGiven(get_object_or_404(Provider, pk=provider)).data)

    @operation(
        "change_provider",
        "Change a provider.",
        takes=ProviderChange,
        gives=ProviderGiven,
        refuses=_TESTED,
        example={"credential": "sk-…"},
    )
    def patch(self, request: Request, provider: uuid.UUID) -> Response:
        """Point it elsewhere or replace its credential, which never goes to another server than it was given for."""
        found = get_object_or_404(Provider, pk=provider)
        base_url = self.taken.get("base_url", found.base_url)
        credential = self.taken.get("credential")
        keep_credential_at_home(found, base_url=base_url, credential=credential)
        if not self.taken.get("save_untested", False):
            _list(base_url, _credential(found) if credential is None else credential)
        change_provider(
            found,
            base_url=base_url,
            credential=credential,
            networks=self.taken.get("networks"),
            actor=self.actor,
        )
        found.refresh_from_db()
        return Response(ProviderGiven(found).data)


class TestProvider(AdministratorView):
    right = PortalRight.MANAGE_REGISTRY

    @operation("test_provider", "Test a provider.", gives=FoundModelsGiven, refuses=_TESTED)
    def post(self, request: Request, provider: uuid.UUID) -> Response:
        """Ask the provider which models it serves, with the credential it is called with."""
        found = get_object_or_404(Provider, pk=provider)
        return Response({"models": _list(found.base_url, _credential(found))})


def _credential(provider: Provider) -> str:
    try:
        return open_credential(provider)
    except SealBroken:
        raise Problem(
            ProblemCode.CONFLICT, "Its credential can no longer be opened. Name it again."
        ) from None


def _list(base_url: str, credential: str) -> list[str]:
    """Return the provider's models. Raises: Problem provider_silent."""
    try:
        return list_upstream_models(
            base_url, credential=credential, networks=settings.LATCHKEY_PROVIDER_NETWORKS
        )
    except ProviderSilent as silent:
        raise Problem(ProblemCode.PROVIDER_SILENT, f"The test failed: {silent}.") from None
