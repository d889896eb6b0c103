"""Approval policies for administrators: their versions, what one would have asked of the past, and switching."""

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import Choice, Given, Id, Taken, Text, Whole
from accounts.api.operations import operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.problems import ProblemCode
from accounts.api.proposals import ProposalGiven
from accounts.api.views import AdministratorView
from accounts.roles import PortalRight
from models_registry.models import ApprovalPolicy, DataClass, PolicyVersion, StepBy, WhenLate
from models_registry.models.limits import AMOUNT_MAX
from models_registry.models.policies import HOURS_MAX, NAMED_MAX, NEEDS_MAX, STEPS_MAX
from models_registry.policy_rules import Step
from models_registry.policy_trial import DAYS, DAYS_MAX, Outcome, try_version, words_of
from models_registry.two_person_policies import ask_to_switch
from models_registry.writes.policies import add_version, make_policy

_MISSING = [ProblemCode.NOT_FOUND]
_ALL = "Empty for all."


class PolicyStepGiven(Given):
    stage = serializers.IntegerField()
    by = serializers.ChoiceField(choices=StepBy.choices)
    group_id = serializers.UUIDField(source="team_id", allow_null=True)
    needs = serializers.IntegerField()
    remind_hours = serializers.IntegerField(allow_null=True)
    due_hours = serializers.IntegerField(allow_null=True)
    when_late = serializers.ChoiceField(choices=WhenLate.choices)


class PolicyVersionGiven(Given):
    number = serializers.IntegerField()
    model_ids = serializers.ListField(child=serializers.UUIDField(), help_text=_ALL)
    data_classes = serializers.ListField(
        child=serializers.ChoiceField(choices=DataClass.choices), help_text=_ALL
    )
    team_ids = serializers.ListField(child=serializers.UUIDField(), help_text=_ALL)
    budget_over = serializers.IntegerField(allow_null=True)
    budget_up_to = serializers.IntegerField(allow_null=True)
    steps = PolicyStepGiven(many=True)
    made_by = serializers.UUIDField(source="made_by_id", allow_null=True)
    created_at = serializers.DateTimeField()


class PolicyGiven(Given):
    id = serializers.UUIDField()
    name = serializers.CharField()
    in_force = PolicyVersionGiven(
        allow_null=True, help_text="What new requests are judged by; null while it is switched off."
    )
    created_at = serializers.DateTimeField()


class PolicyWithVersionsGiven(PolicyGiven):
    versions = PolicyVersionGiven(many=True)


class PolicyStepTaken(Taken):
    stage = Whole(min_value=1, max_value=STEPS_MAX, required=False)
    by = Choice(choices=StepBy.choices)
    group_id = Id(required=False, allow_null=True, help_text="The team that is the group.")
    needs = Whole(min_value=1, max_value=NEEDS_MAX, required=False)
    remind_hours = Whole(min_value=1, max_value=HOURS_MAX, required=False, allow_null=True)
    due_hours = Whole(min_value=1, max_value=HOURS_MAX, required=False, allow_null=True)
    when_late = Choice(choices=WhenLate.choices, required=False)


class NewPolicyVersion(Taken):
    steps = serializers.ListField(
        child=PolicyStepTaken(),
        max_length=STEPS_MAX,
        help_text="Empty: nobody has to agree, and what it matches is approved at once.",
    )
    model_ids = serializers.ListField(child=Id(), max_length=NAMED_MAX, required=False)
    data_classes = serializers.ListField(
        child=Choice(choices=DataClass.choices), max_length=len(DataClass), required=False
    )
    team_ids = serializers.ListField(child=Id(), max_length=NAMED_MAX, required=False)
    budget_over = Whole(
        min_value=0,
        max_value=AMOUNT_MAX,
        required=False,
        allow_null=True,
        help_text="In 1e-6 US dollars a month. A request that names no budget asks for more than any.",
    )
    budget_up_to = Whole(min_value=1, max_value=AMOUNT_MAX, required=False, allow_null=True)


class NewPolicy(NewPolicyVersion):
    name = Text(max_length=100)


class PolicySwitch(Taken):
    version = Whole(
        min_value=1, max_value=1_000_000, allow_null=True, help_text="Null switches the policy off."
    )
    reason = Text(max_length=500, help_text="For whoever has to confirm it.")


class SwitchedPolicyGiven(Given):
    policy = PolicyGiven(help_text="As it is now.")
    proposal = ProposalGiven(
        allow_null=True, help_text="What waits for a second person; null where it is done."
    )


class TrialQuery(Taken):
    version = serializers.IntegerField(min_value=1, max_value=1_000_000)
    days = serializers.IntegerField(min_value=1, max_value=DAYS_MAX, required=False)


class TriedRequestGiven(Given):
    request_id = serializers.UUIDField()
    outcome = serializers.ChoiceField(choices=[one.value for one in Outcome])
    now = serializers.ListField(
        child=serializers.CharField(), help_text="Who has to agree by what is in force."
    )
    then = serializers.ListField(
        child=serializers.CharField(), help_text="Who would have to with the version."
    )


class TrialGiven(Given):
    requests = TriedRequestGiven(many=True, help_text="The newest first, 500 at most.")


_Page = page_of(PolicyGiven, "PolicyPageGiven")


class Policies(AdministratorView):
    sees = PortalRight.SEE_REGISTRY
    right = PortalRight.MANAGE_GRANTS

    @operation("list_policies", "List approval policies.", gives=_Page, query=PageQuery)
    def get(self, request: Request) -> Response:
        """Answer every policy with what it says now, by name."""
        return self.page(_policies(), PolicyGiven, by="name", of="approval-policies")

    @operation(
        "make_policy",
        "Write an approval policy.",
        takes=NewPolicy,
        gives=PolicyWithVersionsGiven,
        status=201,
        example={
            "name": "Confidential data",
            "data_classes": ["confidential", "secret"],
            "steps": [{"by": "manager"}, {"by": "security", "stage": 2, "due_hours": 48}],
        },
    )
    def post(self, request: Request) -> Response:
        """Name a policy and write its first version. It counts once it is switched on."""
        facts = dict(self.taken)
        with transaction.atomic():
            policy = make_policy(facts.pop("name"), actor=self.actor)
            add_version(policy, **_facts(facts), actor=self.actor)
        return Response(PolicyWithVersionsGiven(_policy(policy.pk)).data, status=201)


class PolicyView(AdministratorView):
    sees = PortalRight.SEE_REGISTRY

    @operation(
        "get_policy", "Read an approval policy.", gives=PolicyWithVersionsGiven, refuses=_MISSING
    )
    def get(self, request: Request, policy: uuid.UUID) -> Response:
        """Answer a policy with all its versions."""
        return Response(PolicyWithVersionsGiven(_policy(policy)).data)


class PolicyVersions(AdministratorView):
    right = PortalRight.MANAGE_GRANTS

    @operation(
        "add_policy_version",
        "Write a version of a policy.",
        takes=NewPolicyVersion,
        gives=PolicyVersionGiven,
        status=201,
        refuses=_MISSING,
        example={"steps": [{"by": "security", "needs": 2}]},
    )
    def post(self, request: Request, policy: uuid.UUID) -> Response:
        """Write down what the policy is to say next. It counts once it is switched on; no version is ever changed."""
        made = add_version(_policy(policy), **_facts(self.taken), actor=self.actor)
        return Response(PolicyVersionGiven(made).data, status=201)


class SwitchPolicy(AdministratorView):
    right = PortalRight.MANAGE_GRANTS

    @operation(
        "switch_policy",
        "Switch a policy on or off.",
        takes=PolicySwitch,
        gives=SwitchedPolicyGiven,
        refuses=_MISSING,
        example={"version": 2, "reason": "Agreed with the works council."},
    )
    def post(self, request: Request, policy: uuid.UUID) -> Response:
        """Let a version count for new requests; where one could need less by it, it is proposed to a second person."""
        found, number = _policy(policy), self.taken["version"]
        version = None if number is None else _version(found, number)
        made = ask_to_switch(found, version, by=self.person, why=self.taken["reason"])
        return Response(SwitchedPolicyGiven({"policy": _policy(policy), "proposal": made}).data)


class PolicyTrial(AdministratorView):
    sees = PortalRight.SEE_REGISTRY

    @operation(
        "try_policy",
        "Try a version on the past.",
        gives=TrialGiven,
        query=TrialQuery,
        refuses=_MISSING,
    )
    def get(self, request: Request, policy: uuid.UUID) -> Response:
        """Answer what a version would have asked of the requests of the last days, 30 unless told otherwise."""
        version = _version(_policy(policy), self.asked["version"])
        tried = try_version(version, days=self.asked.get("days", DAYS))
        rows = [
            {"request_id": one.request.pk, "outcome": one.outcome.value, "now": now, "then": then}
            for one, (now, then) in zip(tried, words_of(tried), strict=True)
        ]
        return Response(TrialGiven({"requests": rows}).data)


def _policies() -> QuerySet[ApprovalPolicy]:
    return ApprovalPolicy.objects.select_related("in_force").prefetch_related("in_force__steps")


def _policy(policy_id: uuid.UUID) -> ApprovalPolicy:
    return get_object_or_404(_policies().prefetch_related("versions__steps"), pk=policy_id)


def _version(policy: ApprovalPolicy, number: int) -> PolicyVersion:
    found = policy.versions.select_related("policy").filter(number=number).first()
    if found is None:
        raise ValidationError({"version": "There is no such version."})
    return found


def _facts(taken: dict[str, Any]) -> dict[str, Any]:
    steps = [
        Step(
            by=StepBy(step["by"]),
            team_id=step.get("group_id"),
            stage=step.get("stage", 1),
            needs=step.get("needs", 1),
            remind_hours=step.get("remind_hours"),
            due_hours=step.get("due_hours"),
            when_late=WhenLate(step.get("when_late", WhenLate.REMIND)),
        )
        for step in taken["steps"]
    ]
    classes = [DataClass(one) for one in taken.get("data_classes", [])]
    return {**taken, "steps": steps, "data_classes": classes}
