"""May it, and why or why not: for a key, for a new key of one's own or of a service account, and for anybody's."""

import uuid
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import access_key, access_service_account, access_team
from accounts.api.fields import Choice, Given, Id, Moment, Taken, Text
from accounts.api.operations import operation
from accounts.api.problems import ProblemCode, invalid
from accounts.api.views import AdministratorView, ManagementView
from accounts.models import ApiKey, ServiceAccount, Team, User
from accounts.roles import PortalRight, holds
from models_registry.access import models_seen_by
from models_registry.models import AiModel
from portal.lib.client_address import parse_address
from proxy.call import POSTED, CallKind
from proxy.errors import Code
from proxy.explain.answer import Checked, Explanation, Rule, State
from proxy.explain.explain import explain
from proxy.explain.situation import Question, key_as_new, load_situation

KINDS = [kind.value for kind in POSTED.values()]
_MISSING = [ProblemCode.NOT_FOUND]


class RuleCheckGiven(Given):
    rule = serializers.ChoiceField(choices=[rule.value for rule in Rule])
    state = serializers.ChoiceField(choices=[state.value for state in State])
    text = serializers.CharField(help_text="What was found.")
    remedy = serializers.CharField(help_text="What to do where it does not hold.")
    code = serializers.SerializerMethodField(help_text="What a call is refused with by it.")

    def get_code(self, checked: Checked) -> str:
        return checked.code.code


class CallExplanationGiven(Given):
    allowed = serializers.BooleanField(source="is_allowed")
    at = serializers.DateTimeField(help_text="The moment that it is true for.")
    model = serializers.CharField(help_text="Empty where the key alone was asked about.")
    kind = serializers.ChoiceField(choices=KINDS)
    status = serializers.IntegerField(
        source="refusal.code.http_status", default=None, allow_null=True
    )
    code = serializers.ChoiceField(
        choices=[code.code for code in Code],
        source="refusal.code.code",
        default=None,
        allow_null=True,
        help_text="The code that a call is refused with; null where it is let in.",
    )
    message = serializers.CharField(
        source="refusal.public_text",
        default=None,
        allow_null=True,
        help_text="What the caller is told with it.",
    )
    rules = RuleCheckGiven(
        source="checked", many=True, help_text="Every rule, in the order in which they are asked."
    )


class Asking(Taken):
    model = Text(required=False, max_length=120, help_text="Without one, the key alone.")
    kind = Choice(choices=KINDS, required=False, help_text="What the model answers, if not named.")
    address = Text(required=False, max_length=64, help_text="Where the call comes from.")
    at = Moment(required=False, help_text="Another moment than now.")


class AskingOfTeam(Asking):
    service_account_id = Id(required=False, help_text="Its new key, and not one of your own.")


class AskingOfPerson(Asking):
    team_id = Id(
        required=False, help_text="In which they call; needed of whoever is in several or none."
    )


class KeyExplanation(ManagementView):
    @operation(
        "explain_key",
        "Explain what a key may call.",
        gives=CallExplanationGiven,
        query=Asking,
        refuses=_MISSING,
    )
    def get(self, request: Request, key: uuid.UUID) -> Response:
        """Answer whether a call is let in, in the gateway's words, and how each rule stands."""
        found = access_key(self.person, key)
        return _answer(found, self.asked, seen=models_seen_by(self.person))


class TeamExplanation(ManagementView):
    @operation(
        "explain_team",
        "Explain what a new key of a team may call.",
        gives=CallExplanationGiven,
        query=AskingOfTeam,
        refuses=_MISSING,
    )
    def get(self, request: Request, team: str) -> Response:
        """Answer whether a new key of your own, or of a service account, would be let in."""
        found = access_team(self.person, team)
        holder: User | ServiceAccount = self.person
        if "service_account_id" in self.asked:
            holder = access_service_account(self.person, self.asked["service_account_id"])
            if holder.team_id != found.pk:
                raise invalid({"service_account_id": ["It belongs to another team."]})
        key = key_as_new(found, holder)
        return _answer(key, self.asked, seen=models_seen_by(self.person))


class AnyExplanation(AdministratorView):
    """Explains anybody's; it tells of people, grants and limits, so whoever asks has to be let see them all."""

    sees = PortalRight.SEE_PEOPLE

    def answer(self, key: ApiKey) -> Response:
        return _answer(key, self.asked, seen=AiModel.objects.all())

    def check_permissions(self, request: Request) -> None:
        super().check_permissions(request)
        if not holds(self.person, PortalRight.SEE_REGISTRY):
            raise PermissionDenied


class AnyKeyExplanation(AnyExplanation):
    @operation(
        "explain_any_key",
        "Explain what any key may call.",
        gives=CallExplanationGiven,
        query=Asking,
        refuses=_MISSING,
    )
    def get(self, request: Request, key: uuid.UUID) -> Response:
        """Answer whether a call is let in, in the gateway's words, and how each rule stands."""
        keys = ApiKey.objects.select_related("team", "service_account", "person")
        return self.answer(get_object_or_404(keys, pk=key))


class PersonExplanation(AnyExplanation):
    @operation(
        "explain_person",
        "Explain what a person may call.",
        gives=CallExplanationGiven,
        query=AskingOfPerson,
        refuses=_MISSING,
    )
    def get(self, request: Request, person: uuid.UUID) -> Response:
        """Answer whether a new key of the person's in the team would be let in."""
        found = get_object_or_404(User, pk=person)
        return self.answer(key_as_new(_team_of(found, self.asked.get("team_id")), found))


class AccountExplanation(AnyExplanation):
    @operation(
        "explain_service_account",
        "Explain what a service account may call.",
        gives=CallExplanationGiven,
        query=Asking,
        refuses=_MISSING,
    )
    def get(self, request: Request, account: uuid.UUID) -> Response:
        """Answer whether a new key of the service account would be let in."""
        found = get_object_or_404(ServiceAccount.objects.select_related("team"), pk=account)
        return self.answer(key_as_new(found.team, found))


def _team_of(person: User, team_id: uuid.UUID | None) -> Team:
    """The team named, or the only one that the person is in. Raises: Http404, Problem."""
    if team_id is not None:
        return get_object_or_404(Team, pk=team_id)
    teams = list(Team.objects.filter(memberships__person=person)[:2])
    if len(teams) != 1:
        raise invalid({"team_id": ["Name the team: the person is in several, or in none."]})
    return teams[0]


def _answer(key: ApiKey, asked: dict[str, Any], *, seen: QuerySet[AiModel]) -> Response:
    question = Question(
        key=key,
        model=asked.get("model", ""),
        kind=CallKind(asked["kind"]) if "kind" in asked else None,
        peer=_address(asked.get("address")),
        at=asked.get("at"),
    )
    said: Explanation = explain(load_situation(question, seen=seen))
    return Response(CallExplanationGiven(said).data)


def _address(text: str | None) -> str | None:
    address = None if text is None else parse_address(text)
    if text is not None and address is None:
        raise invalid({"address": ["Give an IP address, such as 192.0.2.1."]})
    return None if address is None else str(address)
