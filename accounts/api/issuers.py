"""Trusted issuers of workloads' tokens, for administrators."""

import uuid
from typing import Any

from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import Choice, Flag, Given, Taken, Text, Whole
from accounts.api.operations import Reason, operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.problems import ProblemCode
from accounts.api.views import AdministratorView
from accounts.models import TrustedIssuer
from accounts.models.workload import (
    AUDIENCE_MAX,
    TOKEN_AGE_MAX_S,
    URL_MAX,
    KeySource,
    SigningAlgorithm,
)
from accounts.writes.issuers import (
    add_issuer,
    change_issuer,
    disable_issuer,
    enable_issuer,
    find_keys,
    key_ids,
    pasted,
)

_MISSING = [ProblemCode.NOT_FOUND]
_PASTED = "A JWKS as one text, where the keys are pasted."


class IssuerGiven(Given):
    id = serializers.UUIDField()
    name = serializers.SlugField()
    issuer = serializers.CharField()
    key_source = serializers.ChoiceField(choices=KeySource.choices)
    jwks_url = serializers.CharField()
    algorithms = serializers.ListField(
        child=serializers.ChoiceField(choices=SigningAlgorithm.choices)
    )
    audiences = serializers.ListField(child=serializers.CharField())
    max_token_age_s = serializers.IntegerField()
    is_open_to_teams = serializers.BooleanField()
    key_ids = serializers.SerializerMethodField(help_text="The keys that count now.")
    fetched_at = serializers.DateTimeField(source="fetch.fetched_at", allow_null=True)
    fault = serializers.CharField(
        source="fetch.fault", help_text="What went wrong when keys were last fetched."
    )
    created_at = serializers.DateTimeField()
    disabled_at = serializers.DateTimeField(allow_null=True)

    def get_key_ids(self, issuer: TrustedIssuer) -> list[str]:
        return key_ids(issuer.keys)


class _Audiences(serializers.ListField):
    def __init__(self, **options: Any) -> None:
        super().__init__(
            child=Text(max_length=AUDIENCE_MAX),
            min_length=1,
            max_length=10,
            help_text="Names of this portal alone, of which a token has to name one.",
            **options,
        )


class _Algorithms(serializers.ListField):
    def __init__(self, **options: Any) -> None:
        child = Choice(choices=SigningAlgorithm.choices)
        super().__init__(child=child, min_length=1, max_length=10, **options)


class NewIssuer(Taken):
    name = serializers.SlugField(max_length=60)
    issuer = Text(max_length=URL_MAX, help_text="The `iss` of its tokens, to the letter.")
    key_source = Choice(choices=KeySource.choices)
    jwks_url = Text(max_length=URL_MAX, required=False, allow_blank=True)
    pasted_keys = Text(max_length=100_000, required=False, allow_blank=True, help_text=_PASTED)
    certificate_authority = Text(
        max_length=20_000, required=False, allow_blank=True, help_text="PEM."
    )
    audiences = _Audiences()
    algorithms = _Algorithms(required=False)
    max_token_age_s = Whole(min_value=60, max_value=TOKEN_AGE_MAX_S, required=False)
    is_open_to_teams = Flag(required=False)


class IssuerChange(Taken):
    """What is not named stays. The name in its tokens, and how its keys are found, never change."""

    audiences = _Audiences(required=False)
    algorithms = _Algorithms(required=False)
    max_token_age_s = Whole(min_value=60, max_value=TOKEN_AGE_MAX_S, required=False)
    is_open_to_teams = Flag(required=False)
    pasted_keys = Text(max_length=100_000, required=False, help_text=_PASTED)


class Issuers(AdministratorView):
    @operation(
        "list_issuers",
        "List trusted issuers.",
        gives=page_of(IssuerGiven, "IssuerPageGiven"),
        query=PageQuery,
    )
    def get(self, request: Request) -> Response:
        """Answer every issuer of workloads' tokens, by name."""
        rows = TrustedIssuer.objects.select_related("fetch")
        return self.page(rows, IssuerGiven, by="name", of="issuers")

    @operation(
        "add_issuer",
        "Trust an issuer.",
        takes=NewIssuer,
        gives=IssuerGiven,
        status=201,
        example={
            "name": "github",
            "issuer": "https://token.actions.githubusercontent.com",
            "key_source": "discovery",
            "audiences": ["https://models.corp"],
        },
    )
    def post(self, request: Request) -> Response:
        """Believe an issuer's tokens, as far as rules go. Its keys are fetched first; a silent issuer is not added."""
        facts = dict(self.taken)
        text = facts.pop("pasted_keys", "")
        places = ("key_source", "jwks_url", "certificate_authority")
        keys = find_keys(
            facts["issuer"],
            pasted_keys=text,
            **{name: facts[name] for name in places if name in facts},
        )
        made = add_issuer(facts.pop("name"), keys=keys, actor=self.actor, **facts)
        return Response(IssuerGiven(made).data, status=201)


class IssuerView(AdministratorView):
    @operation("get_issuer", "Read a trusted issuer.", gives=IssuerGiven, refuses=_MISSING)
    def get(self, request: Request, issuer: uuid.UUID) -> Response:
        """Answer one issuer, and how its keys stand."""
        return Response(IssuerGiven(get_object_or_404(TrustedIssuer, pk=issuer)).data)

    @operation(
        "change_issuer",
        "Change a trusted issuer.",
        takes=IssuerChange,
        gives=IssuerGiven,
        refuses=_MISSING,
        example={"max_token_age_s": 600},
    )
    def patch(self, request: Request, issuer: uuid.UUID) -> Response:
        """Change how far an issuer is believed, within a second."""
        found = get_object_or_404(TrustedIssuer, pk=issuer)
        facts = dict(self.taken)
        text = facts.pop("pasted_keys", None)
        keys = None if text is None else pasted(text)
        change_issuer(found, actor=self.actor, keys=keys, **facts)
        found.refresh_from_db()
        return Response(IssuerGiven(found).data)


class DisableIssuer(AdministratorView):
    @operation(
        "disable_issuer",
        "Disable a trusted issuer.",
        takes=Reason,
        gives=IssuerGiven,
        refuses=_MISSING,
        example={"reason": "The cluster was retired."},
    )
    def post(self, request: Request, issuer: uuid.UUID) -> Response:
        """Refuse its tokens until it is enabled again; their running calls are cut."""
        found = get_object_or_404(TrustedIssuer, pk=issuer)
        disable_issuer(found, actor=self.actor, reason=self.taken["reason"])
        found.refresh_from_db()
        return Response(IssuerGiven(found).data)


class EnableIssuer(AdministratorView):
    @operation("enable_issuer", "Enable a trusted issuer.", gives=IssuerGiven, refuses=_MISSING)
    def post(self, request: Request, issuer: uuid.UUID) -> Response:
        """Believe its tokens again."""
        found = get_object_or_404(TrustedIssuer, pk=issuer)
        enable_issuer(found, actor=self.actor)
        found.refresh_from_db()
        return Response(IssuerGiven(found).data)
