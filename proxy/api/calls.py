"""The log of calls: without prompts and answers, which are nowhere kept."""

import uuid
from collections.abc import Callable
from typing import Any

from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import access_team
from accounts.api.fields import Choice, Given, Id, Text
from accounts.api.operations import operation
from accounts.api.pages import PageQuery, make_cursor, open_cursor, page_of
from accounts.api.problems import ProblemCode, invalid
from accounts.api.views import AdministratorView, ManagementView
from accounts.roles import PortalRight
from models_registry.models import AiModel
from proxy.access import access_call, sight_of
from proxy.api.spans import SpanQuery, span_of
from proxy.call import CallKind, CallStatus
from proxy.models import Call
from proxy.usage.call_log import Asked, TooSlow, newest_calls, newest_calls_of_all
from proxy.usage.names import model_names
from proxy.usage.told import ToldCall, tell

DAYS, DAYS_MAX = 7, 31
NO_MODEL = uuid.UUID(int=0)
PRICE = "Micro-USD per million tokens, when it was let in."


class CallGiven(Given):
    id = serializers.UUIDField(source="call.id", help_text="Also its X-Request-Id.")
    admitted_at = serializers.DateTimeField(source="call.admitted_at")
    team_id = serializers.UUIDField(source="call.team_id")
    key_id = serializers.UUIDField(source="call.key_id")
    service_account_id = serializers.UUIDField(source="call.service_account_id", allow_null=True)
    person_id = serializers.UUIDField(source="call.person_id", allow_null=True)
    model_id = serializers.UUIDField(source="call.model_id", allow_null=True)
    model = serializers.SerializerMethodField()
    kind = serializers.ChoiceField(source="call.kind", choices=[kind.value for kind in CallKind])
    stream = serializers.BooleanField(source="call.stream")
    peer = serializers.CharField(source="call.peer")
    purpose = serializers.CharField(source="call.purpose")
    status = serializers.ChoiceField(choices=[status.value for status in CallStatus])
    http_status = serializers.IntegerField()
    code = serializers.CharField(help_text="docs/errors.md explains each; empty where answered.")
    input_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    reasoning_tokens = serializers.IntegerField()
    input_audio_tokens = serializers.IntegerField(help_text="Of the input.")
    output_audio_tokens = serializers.IntegerField(help_text="Of the output.")
    usage_estimated = serializers.BooleanField()
    reserved_tokens = serializers.IntegerField(source="call.reserved_tokens")
    cost_micro_usd = serializers.IntegerField(help_text="1e-6 USD.")
    price_input = serializers.IntegerField(
        source="call.price_input_micro_usd_per_million", help_text=PRICE
    )
    price_cached_input = serializers.IntegerField(
        source="call.price_cached_micro_usd_per_million", help_text=PRICE
    )
    price_output = serializers.IntegerField(
        source="call.price_output_micro_usd_per_million", help_text=PRICE
    )
    price_reasoning = serializers.IntegerField(
        source="call.price_reasoning_micro_usd_per_million",
        allow_null=True,
        help_text=f"{PRICE} null: as output.",
    )
    price_audio_input = serializers.IntegerField(
        source="call.price_audio_input_micro_usd_per_million",
        allow_null=True,
        help_text=f"{PRICE} null: as input.",
    )
    price_audio_output = serializers.IntegerField(
        source="call.price_audio_output_micro_usd_per_million",
        allow_null=True,
        help_text=f"{PRICE} null: as output.",
    )
    duration_us = serializers.IntegerField()
    upstream_us = serializers.IntegerField(source="call.upstream_us")
    first_byte_us = serializers.IntegerField(source="call.first_byte_us")
    attempts = serializers.IntegerField(source="call.attempts")
    answer_bytes = serializers.IntegerField()

    def get_model(self, told: ToldCall) -> str | None:
        names: dict[uuid.UUID, str] = self.context["names"]
        return None if told.call.model_id is None else names.get(told.call.model_id)


class CallQuery(PageQuery, SpanQuery):
    team = Text(required=False, max_length=60, help_text="The slug of one of your teams.")
    model = Text(required=False, max_length=120)
    key_id = Id(required=False)
    status = Choice(choices=[status.value for status in CallStatus], required=False)


class AnyCallQuery(PageQuery, SpanQuery):
    team_id = Id(required=False)
    model = Text(required=False, max_length=120)
    key_id = Id(required=False)
    status = Choice(choices=[status.value for status in CallStatus], required=False)


_Page = page_of(CallGiven, "CallPageGiven")


class Calls(ManagementView):
    @operation(
        "list_calls",
        "List calls.",
        gives=_Page,
        query=CallQuery,
        refuses=[ProblemCode.NOT_FOUND],
    )
    def get(self, request: Request) -> Response:
        """Answer calls of whole days in UTC, of the last 7 unless others are named, at most 31; the newest first.

        Owners, managers and auditors see their whole team's; everybody sees those of their own keys.
        """
        sight = sight_of(self.person)
        if "team" in self.asked:
            sight = sight.narrowed_to(access_team(self.person, self.asked["team"]).pk)
        return _listed(
            self.asked, lambda asked, limit: newest_calls(sight, asked, limit=limit), of="calls"
        )


class CallView(ManagementView):
    @operation("get_call", "Read a call.", gives=CallGiven, refuses=[ProblemCode.NOT_FOUND])
    def get(self, request: Request, call: uuid.UUID) -> Response:
        """Answer one call, as it is known now."""
        return Response(_given([access_call(self.person, call)])[0])


class AllCalls(AdministratorView):
    sees = PortalRight.SEE_CALLS

    @operation("list_all_calls", "List everybody's calls.", gives=_Page, query=AnyCallQuery)
    def get(self, request: Request) -> Response:
        """Answer calls of whole days in UTC, of the last 7 unless others are named, at most 31; the newest first."""

        def find(asked: Asked, limit: int) -> list[Call]:
            return newest_calls_of_all(asked, limit=limit, team_id=self.asked.get("team_id"))

        return _listed(self.asked, find, of="all-calls")


class AnyCallView(AdministratorView):
    sees = PortalRight.SEE_CALLS

    @operation("get_any_call", "Read any call.", gives=CallGiven, refuses=[ProblemCode.NOT_FOUND])
    def get(self, request: Request, call: uuid.UUID) -> Response:
        """Answer one call, as it is known now."""
        return Response(_given([get_object_or_404(Call, pk=call)])[0])


def _listed(
    asked: dict[str, Any], find: Callable[[Asked, int], list[Call]], *, of: str
) -> Response:
    before = uuid.UUID(open_cursor(asked["cursor"], of=of)) if "cursor" in asked else None
    status = asked.get("status")
    wanted = Asked(
        span_of(asked, days=DAYS, most=DAYS_MAX),
        before,
        asked.get("key_id"),
        _model_id(asked.get("model")),
        None if status is None else CallStatus(status),
    )
    try:
        found = find(wanted, asked["limit"] + 1)
    except TooSlow:
        raise invalid({"first": ["These days hold too many calls. Choose fewer."]}) from None
    calls = found[: asked["limit"]]
    after = make_cursor(calls[-1].pk, of=of) if len(found) > len(calls) else None
    return Response({"data": _given(calls), "next": after})


def _given(calls: list[Call]) -> list[Any]:
    names = model_names(call.model_id for call in calls)
    return list(CallGiven(tell(calls), many=True, context={"names": names}).data)


def _model_id(name: str | None) -> uuid.UUID | None:
    """Return the id of the model meant. A name that no model bears finds nothing."""
    if name is None:
        return None
    model = AiModel.objects.filter(name=name).first()
    return NO_MODEL if model is None else model.pk
