"""Limits and budgets: seen by whoever they bound, set by administrators, and in their teams by owners and managers."""

import uuid
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import access_key, access_service_account, access_team
from accounts.api.fields import Choice, Flag, Given, Id, Taken, Text, Whole
from accounts.api.operations import Reason, operation
from accounts.api.pages import PageQuery, page_of, take_page
from accounts.api.problems import ProblemCode, invalid
from accounts.api.proposals import ProposalGiven
from accounts.api.views import AdministratorView, ManagementView, done
from accounts.models import ApiKey, ServiceAccount, Team, User
from accounts.roles import PortalRight
from accounts.ways_in.proven import Proven
from models_registry.limit_access import (
    access_limit,
    all_limits,
    belonging_to,
    limits_of_key,
    limits_of_team,
    limits_seen_by,
)
from models_registry.limit_standings import standings_of
from models_registry.models import AiModel, Limit, LimitMeasure, LimitPeriod, SubjectKind
from models_registry.models.limits import ALERTS_MAX, AMOUNT_MAX, PERCENT_MAX, of_kind
from models_registry.two_person_limits import ask_to_remove
from models_registry.writes.limits import Subject, change_limit, remove_limit, set_limit
from models_registry.writes.limits_as import change_limit_as, remove_limit_as, set_limit_as

_MISSING = [ProblemCode.NOT_FOUND]
_AMOUNT = "Calls, tokens, or micro-USD (1e-6 USD)."
_ZONE = "The calendar's time zone, such as Europe/Berlin; UTC unless given."
_PERCENTS = "Percentages at which those who answer for it are told."


class LimitGiven(Given):
    id = serializers.UUIDField()
    of = serializers.ChoiceField(
        choices=[kind.value for kind in SubjectKind], source="subject_kind.value"
    )
    key_id = serializers.UUIDField(allow_null=True)
    service_account_id = serializers.UUIDField(allow_null=True)
    person_id = serializers.UUIDField(allow_null=True)
    team_id = serializers.UUIDField(allow_null=True)
    model = serializers.CharField(source="model.name", default=None, allow_null=True)
    measure = serializers.ChoiceField(choices=LimitMeasure.choices)
    period = serializers.ChoiceField(choices=LimitPeriod.choices)
    zone = serializers.CharField()
    amount = serializers.IntegerField(help_text=_AMOUNT)
    is_soft = serializers.BooleanField(help_text="Nothing is refused; it only tells.")
    alert_percents = serializers.ListField(child=serializers.IntegerField(), help_text=_PERCENTS)
    by_administrator = serializers.BooleanField(
        help_text="Set by one; who manages the team leaves it as it is."
    )
    used = serializers.IntegerField(
        source="standing.used",
        default=None,
        allow_null=True,
        help_text="Null while the counts cannot be read.",
    )
    held = serializers.IntegerField(
        source="standing.held",
        default=None,
        allow_null=True,
        help_text="What running calls have reserved, and slices that gateways have borrowed.",
    )
    resets_at = serializers.DateTimeField(
        source="standing.resets_at",
        default=None,
        allow_null=True,
        help_text="When it is free again; null where it is now, and where time alone frees nothing.",
    )
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()


class _Percents(serializers.ListField):
    def __init__(self, **options: Any) -> None:
        child = Whole(min_value=1, max_value=PERCENT_MAX)
        super().__init__(child=child, max_length=ALERTS_MAX, help_text=_PERCENTS, **options)


class LimitChange(Taken):
    """What is not named stays."""

    amount = Whole(min_value=1, max_value=AMOUNT_MAX, required=False, help_text=_AMOUNT)
    zone = Text(max_length=64, required=False, help_text=_ZONE)
    is_soft = Flag(required=False)
    alert_percents = _Percents(required=False)


class NewLimit(Taken):
    key_id = Id(required=False)
    service_account_id = Id(required=False)
    person_id = Id(required=False, help_text="With `team_id`: as a member of that team.")
    team_id = Id(required=False)
    measure = Choice(choices=LimitMeasure.choices)
    period = Choice(choices=LimitPeriod.choices)
    amount = Whole(min_value=1, max_value=AMOUNT_MAX, help_text=_AMOUNT)
    zone = Text(max_length=64, required=False, allow_blank=True, help_text=_ZONE)
    is_soft = Flag(required=False)
    alert_percents = _Percents(required=False)


class AnyNewLimit(NewLimit):
    model = Text(max_length=120, required=False, help_text="With `team_id`: the team's use of it.")


class LimitQuery(PageQuery):
    team = Text(required=False, max_length=60, help_text="The slug of one of your teams.")


class AnyLimitQuery(PageQuery):
    of = Choice(choices=[kind.value for kind in SubjectKind], required=False)
    team_id = Id(required=False, help_text="Limits of the team, its keys, accounts and members.")
    measure = Choice(choices=LimitMeasure.choices, required=False)


_EXAMPLE = {
    "service_account_id": "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071",
    "measure": "micro_usd",
    "period": "calendar_month",
    "zone": "Europe/Berlin",
    "amount": 50_000_000,
    "alert_percents": [80, 100],
}


class _LimitPages(ManagementView):
    """Lists of limits with how each stands, asked for at once."""

    def page(self, rows: QuerySet[Any], kind: type[Given], *, by: str, of: str) -> Response:
        found, after = take_page(rows, by=by, of=of, asked=self.asked)
        return Response({"data": kind(_standing(found), many=True).data, "next": after})


class Limits(_LimitPages):
    @operation(
        "list_limits",
        "List limits.",
        gives=page_of(LimitGiven, "LimitPageGiven"),
        query=LimitQuery,
        refuses=_MISSING,
    )
    def get(self, request: Request) -> Response:
        """Answer what bounds your own calls, and the limits of teams whose usage you see, the newest first."""
        limits = limits_seen_by(self.person)
        if "team" in self.asked:
            limits = limits_of_team(self.person, access_team(self.person, self.asked["team"]))
        return self.page(limits, LimitGiven, by="-id", of="limits")

    @operation(
        "set_limit",
        "Set a limit.",
        takes=NewLimit,
        gives=LimitGiven,
        status=201,
        refuses=_MISSING,
        example=_EXAMPLE,
    )
    def post(self, request: Request) -> Response:
        """Limit a key, a service account or a member of a team whose limits you manage.

        A limit is never looser than those of the same measure and period above it. It acts within a second.
        """
        facts = dict(self.taken)
        subject = self._subject(facts)
        made = set_limit_as(self.person, subject, **_typed(facts))
        return Response(_given(made), status=201)

    def _subject(self, facts: dict[str, Any]) -> Subject:
        """Take the subject out of the facts, as the person may see it. Raises: Http404, Problem."""
        key_id, account_id = facts.pop("key_id", None), facts.pop("service_account_id", None)
        team_id, person_id = facts.pop("team_id", None), facts.pop("person_id", None)
        team = access_team(self.person, team_id) if team_id else None
        member = None
        if person_id is not None:
            member = User.objects.filter(pk=person_id, memberships__team=team).first()
            if team is None or member is None:
                raise invalid({"person_id": ["Name a member of a team, with the `team_id`."]})
        return Subject(
            key=access_key(self.person, key_id) if key_id else None,
            service_account=access_service_account(self.person, account_id) if account_id else None,
            person=member,
            team=team,
        )


class LimitView(ManagementView):
    @operation("get_limit", "Read a limit.", gives=LimitGiven, refuses=_MISSING)
    def get(self, request: Request, limit: uuid.UUID) -> Response:
        """Answer one limit that you see."""
        return Response(_given(access_limit(self.person, limit)))

    @operation(
        "change_limit",
        "Change a limit.",
        takes=LimitChange,
        gives=LimitGiven,
        refuses=_MISSING,
        example={"amount": 40_000_000},
    )
    def patch(self, request: Request, limit: uuid.UUID) -> Response:
        """Change a limit that was set in a team whose limits you manage. What was used stays counted."""
        found = access_limit(self.person, limit)
        _refuse_own(request.auth, found)
        change_limit_as(self.person, found, **self.taken)
        return Response(_given(access_limit(self.person, limit)))

    @operation("remove_limit", "Remove a limit.", gives=None, status=204, refuses=_MISSING)
    def delete(self, request: Request, limit: uuid.UUID) -> Response:
        """Take away a limit that was set in a team whose limits you manage."""
        found = access_limit(self.person, limit)
        _refuse_own(request.auth, found)
        remove_limit_as(self.person, found)
        return done()


class KeyLimits(_LimitPages):
    @operation(
        "list_key_limits",
        "List what bounds an API key.",
        gives=page_of(LimitGiven, "KeyLimitPageGiven"),
        query=PageQuery,
        refuses=_MISSING,
    )
    def get(self, request: Request, key: uuid.UUID) -> Response:
        """Answer every limit that the key's calls spend from, those of one model excepted."""
        found = access_key(self.person, key)
        limits = limits_of_key(self.person, found)
        return self.page(limits, LimitGiven, by="-id", of=f"key-limits.{found.pk}")


class AllLimits(_LimitPages, AdministratorView):
    sees = PortalRight.SEE_REGISTRY
    right = PortalRight.MANAGE_LIMITS

    @operation(
        "list_all_limits",
        "List all limits.",
        gives=page_of(LimitGiven, "AnyLimitPageGiven"),
        query=AnyLimitQuery,
    )
    def get(self, request: Request) -> Response:
        """Answer every limit, the newest first."""
        limits = _asked(all_limits(), self.asked)
        return self.page(limits, LimitGiven, by="-id", of="all-limits")

    @operation(
        "set_any_limit",
        "Set any limit.",
        takes=AnyNewLimit,
        gives=LimitGiven,
        status=201,
        example=_EXAMPLE,
    )
    def post(self, request: Request) -> Response:
        """Limit a key, a service account, a person, a team, a model, a member, or a team's use of a model."""
        facts = dict(self.taken)
        made = set_limit(_any_subject(facts), actor=self.actor, **_typed(facts))
        return Response(_given(made), status=201)


class AnyLimitView(AdministratorView):
    sees = PortalRight.SEE_REGISTRY
    right = PortalRight.MANAGE_LIMITS

    @operation("get_any_limit", "Read any limit.", gives=LimitGiven, refuses=_MISSING)
    def get(self, request: Request, limit: uuid.UUID) -> Response:
        """Answer one limit."""
        return Response(_given(get_object_or_404(all_limits(), pk=limit)))

    @operation(
        "change_any_limit",
        "Change any limit.",
        takes=LimitChange,
        gives=LimitGiven,
        refuses=_MISSING,
        example={"amount": 40_000_000},
    )
    def patch(self, request: Request, limit: uuid.UUID) -> Response:
        """Change a limit, which is an administrator's from then on. What is looser below is tightened with it."""
        found = get_object_or_404(all_limits(), pk=limit)
        change_limit(found, actor=self.actor, **self.taken)
        return Response(_given(get_object_or_404(all_limits(), pk=limit)))

    @operation("remove_any_limit", "Remove any limit.", gives=None, status=204, refuses=_MISSING)
    def delete(self, request: Request, limit: uuid.UUID) -> Response:
        """Take a limit away; those above and below it stay. One that bounds a model for everybody takes two people."""
        remove_limit(get_object_or_404(all_limits(), pk=limit), actor=self.actor)
        return done()


class RemovalGiven(Given):
    proposal = ProposalGiven(allow_null=True, help_text="Null where the limit took one person.")


class ProposeRemoval(AdministratorView):
    right = PortalRight.MANAGE_LIMITS

    @operation(
        "propose_limit_removal",
        "Propose to remove a limit.",
        takes=Reason,
        gives=RemovalGiven,
        refuses=_MISSING,
        example={"reason": "The model moved to servers with room for all."},
    )
    def post(self, request: Request, limit: uuid.UUID) -> Response:
        """Remove a limit, or propose it to a second person where it bounds a model for everybody."""
        found = get_object_or_404(all_limits(), pk=limit)
        made = ask_to_remove(found, by=self.person, why=self.taken["reason"])
        return Response(RemovalGiven({"proposal": made}).data)


def _given(limit: Limit) -> dict[str, Any]:
    (limit,) = _standing([limit])
    return dict(LimitGiven(limit).data)


def _standing(limits: list[Limit]) -> list[Limit]:
    """The limits, each with how it stands."""
    standings = standings_of(limits)
    for limit in limits:
        limit.standing = standings.get(limit.pk)  # type: ignore[attr-defined]
    return limits


def _typed(facts: dict[str, Any]) -> dict[str, Any]:
    return facts | {
        "measure": LimitMeasure(facts["measure"]),
        "period": LimitPeriod(facts["period"]),
    }


def _any_subject(facts: dict[str, Any]) -> Subject:
    """Take the subject out of the facts, whosever it is. Raises: Problem."""
    found: dict[str, Any] = {}
    for name, rows in (
        ("key", ApiKey.objects.all()),
        ("service_account", ServiceAccount.objects.all()),
        ("person", User.objects.all()),
        ("team", Team.objects.all()),
    ):
        one = facts.pop(f"{name}_id", None)
        if one is not None:
            found[name] = rows.filter(pk=one).first()
            if found[name] is None:
                raise invalid({f"{name}_id": ["Nothing has this id."]})
    model = facts.pop("model", None)
    if model is not None:
        found["model"] = AiModel.objects.filter(name=model).first()
        if found["model"] is None:
            raise invalid({"model": ["No model bears this name."]})
    return Subject(**found)


def _asked(limits: QuerySet[Limit], asked: dict[str, Any]) -> QuerySet[Limit]:
    if "team_id" in asked:
        limits = limits.filter(belonging_to(asked["team_id"]))
    if "measure" in asked:
        limits = limits.filter(measure=asked["measure"])
    if "of" in asked:
        limits = limits.filter(of_kind(SubjectKind(asked["of"])))
    return limits


def _refuse_own(presented: object, limit: Limit) -> None:
    """A stolen credential must not widen what bounds itself. Raises: PermissionDenied."""
    if not isinstance(presented, Proven):
        return
    holder = presented.person
    is_of_key = presented.key is not None and limit.key_id == presented.key.pk
    if is_of_key or (holder is not None and limit.person_id == holder.pk):
        raise PermissionDenied("A credential cannot change what bounds itself; sign in for that.")
