"""Access requests: asking, talking about it and taking it back; and the queue of whoever decides."""

import uuid
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import access_service_account, access_team
from accounts.api.fields import Choice, Given, Id, Moment, Taken, Text, Whole
from accounts.api.operations import Positive, operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.permissions import has_scope
from accounts.api.problems import ProblemCode
from accounts.api.views import ManagementView
from accounts.models.keys import Scope
from accounts.roles import Right
from models_registry.access import access_request, may_decide, requests_seen_by, requests_to_decide
from models_registry.api.named_models import models_named, requested_models_named
from models_registry.models import AccessRequest, DataClass, ModelKind, RequestStatus, StepBy
from models_registry.models.limits import AMOUNT_MAX
from models_registry.models.requests import COMMENT_MAX, JUSTIFICATION_MAX, REASON_MAX
from models_registry.step_access import is_approver
from models_registry.writes.request_terms import MODELS_MAX
from models_registry.writes.requests import (
    approve_request,
    ask_for_access,
    comment_on_request,
    deny_request,
    withdraw_request,
)

_MISSING = [ProblemCode.NOT_FOUND]
BUDGET = "What the team may spend on each of the models in a calendar month, in 1e-6 US dollars."


class RequestedModelGiven(Given):
    model = serializers.CharField(source="model.name")
    grant_id = serializers.UUIDField(allow_null=True, help_text="The grant that came of it.")


class CommentGiven(Given):
    id = serializers.UUIDField()
    author_id = serializers.UUIDField(allow_null=True)
    at = serializers.DateTimeField()
    text = serializers.CharField()


class RequestGiven(Given):
    id = serializers.UUIDField()
    team_id = serializers.UUIDField()
    service_account_id = serializers.UUIDField(allow_null=True)
    requested_by = serializers.UUIDField(source="requested_by_id", allow_null=True)
    models = RequestedModelGiven(source="requested_models", many=True)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=ModelKind.choices))
    justification = serializers.CharField()
    wanted_until = serializers.DateTimeField()
    requests_per_minute = serializers.IntegerField(allow_null=True)
    tokens_per_minute = serializers.IntegerField(allow_null=True)
    budget_micro_usd = serializers.IntegerField(allow_null=True, help_text=BUDGET)
    data_class = serializers.ChoiceField(
        choices=DataClass.choices,
        allow_blank=True,
        help_text="The most sensitive data that is sent; empty in requests from before it was asked.",
    )
    created_at = serializers.DateTimeField()
    status = serializers.ChoiceField(choices=RequestStatus.choices)
    decided_at = serializers.DateTimeField(allow_null=True)
    decided_by = serializers.UUIDField(source="decided_by_id", allow_null=True)
    decision_reason = serializers.CharField()


class AgreementGiven(Given):
    person_id = serializers.UUIDField(allow_null=True)
    at = serializers.DateTimeField()
    reason = serializers.CharField()
    model_ids = serializers.ListField(child=serializers.UUIDField())
    ends_at = serializers.DateTimeField()
    requests_per_minute = serializers.IntegerField(allow_null=True)
    tokens_per_minute = serializers.IntegerField(allow_null=True)
    budget_micro_usd = serializers.IntegerField(allow_null=True)


class StepGiven(Given):
    id = serializers.UUIDField()
    policy_id = serializers.UUIDField(
        source="version.policy_id",
        default=None,
        allow_null=True,
        help_text="Of the policy that asks for it; none for the portal's own step.",
    )
    stage = serializers.IntegerField(help_text="Each stage waits for those before it.")
    by = serializers.ChoiceField(choices=StepBy.choices)
    team_id = serializers.UUIDField(allow_null=True)
    needs = serializers.IntegerField()
    turn_at = serializers.DateTimeField(allow_null=True)
    met_at = serializers.DateTimeField(allow_null=True)
    approvals = AgreementGiven(many=True)


class RequestWithCommentsGiven(RequestGiven):
    comments = CommentGiven(many=True)
    steps = StepGiven(many=True)


class RequestQuery(PageQuery):
    status = Choice(choices=RequestStatus.choices, required=False)


class NewRequest(Taken):
    team = Text(max_length=60, help_text="The slug of the team that asks.")
    service_account_id = Id(
        required=False,
        help_text="Where the grant is to be one application's, not the whole team's.",
    )
    models = serializers.ListField(
        child=Text(max_length=120), min_length=1, max_length=MODELS_MAX, help_text="Their names."
    )
    scopes = serializers.ListField(
        child=Choice(choices=ModelKind.choices),
        min_length=1,
        max_length=2,
        required=False,
        help_text="The kinds of call; exactly those of the models, which is also what leaving it out means.",
    )
    justification = Text(max_length=JUSTIFICATION_MAX)
    wanted_until = Moment(help_text="At most 366 days from now.")
    requests_per_minute = Positive(required=False, allow_null=True)
    tokens_per_minute = Positive(required=False, allow_null=True)
    budget_micro_usd = Whole(
        min_value=1, max_value=AMOUNT_MAX, required=False, allow_null=True, help_text=BUDGET
    )
    data_class = Choice(
        choices=DataClass.choices,
        required=False,
        help_text="The most sensitive data that is to be sent; the most that one of the models may be sent if left out.",
    )


class NewComment(Taken):
    text = Text(max_length=COMMENT_MAX)


class Approval(Taken):
    """What is left out is granted as it was asked; with kinds of call alone, the models called by them. Less needs a reason."""

    reason = Text(max_length=REASON_MAX, required=False, allow_blank=True)
    models = serializers.ListField(
        child=Text(max_length=120), min_length=1, max_length=MODELS_MAX, required=False
    )
    scopes = serializers.ListField(
        child=Choice(choices=ModelKind.choices),
        min_length=1,
        max_length=2,
        required=False,
        help_text="The kinds of call that are granted; exactly those of the models where these are named too.",
    )
    ends_at = Moment(required=False)
    requests_per_minute = Positive(required=False)
    tokens_per_minute = Positive(required=False)
    budget_micro_usd = Whole(min_value=1, max_value=AMOUNT_MAX, required=False)


class Denial(Taken):
    reason = Text(max_length=REASON_MAX)


class MayDecide(BasePermission):
    """Whoever decides on requests, or has one to agree to: who signed in, or came with a key that may administer."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        person = request.user
        if not person.is_authenticated or not has_scope(request, Scope.ADMINISTER):
            return False
        person.acts_in_team_id = None
        return may_decide(person) or is_approver(person)


class RequestsBase(ManagementView):
    """What the views of requests share."""

    def answer(self, request_id: uuid.UUID, *, status: int = 200) -> Response:
        """Answer a request as it is now, with what was said about it."""
        found = access_request(self.person, request_id)
        return Response(RequestWithCommentsGiven(found).data, status=status)

    def listed(self, rows: QuerySet[AccessRequest], *, of: str) -> Response:
        if "status" in self.asked:
            rows = rows.filter(status=self.asked["status"])
        rows = rows.prefetch_related("requested_models__model")
        return self.page(rows, RequestGiven, by="-id", of=of)


_Page = page_of(RequestGiven, "RequestPageGiven")


class Requests(RequestsBase):
    @operation("list_requests", "List your teams' requests.", gives=_Page, query=RequestQuery)
    def get(self, request: Request) -> Response:
        """Answer what your teams asked for, the newest first."""
        return self.listed(requests_seen_by(self.person), of="requests")

    @operation(
        "ask_for_access",
        "Ask for access to models.",
        takes=NewRequest,
        gives=RequestWithCommentsGiven,
        status=201,
        refuses=_MISSING,
        example={
            "team": "invoicing",
            "models": ["qwen3-32b"],
            "scopes": ["chat"],
            "justification": "Reads incoming invoices; about 2,000 a day.",
            "wanted_until": "2027-01-31T00:00:00Z",
            "tokens_per_minute": 100000,
        },
    )
    def post(self, request: Request) -> Response:
        """Ask for models, for a team or one of its applications. A team has one open request for a model."""
        facts: dict[str, Any] = dict(self.taken)
        team = access_team(self.person, facts.pop("team"), right=Right.ASK_FOR_ACCESS)
        account_id = facts.pop("service_account_id", None)
        account = None if account_id is None else access_service_account(self.person, account_id)
        facts["models"] = models_named(self.person, facts["models"])
        if "scopes" in facts:
            facts["scopes"] = [Scope(scope) for scope in facts["scopes"]]
        if "data_class" in facts:
            facts["data_class"] = DataClass(facts["data_class"])
        made = ask_for_access(self.person, team=team, service_account=account, **facts)
        return self.answer(made.pk, status=201)


class RequestView(RequestsBase):
    @operation("get_request", "Read a request.", gives=RequestWithCommentsGiven, refuses=_MISSING)
    def get(self, request: Request, access: uuid.UUID) -> Response:
        """Answer a request of one of your teams, with what was said about it."""
        return self.answer(access)


class RequestComments(RequestsBase):
    @operation(
        "comment_on_request",
        "Comment on a request.",
        takes=NewComment,
        gives=CommentGiven,
        status=201,
        refuses=_MISSING,
        example={"text": "Two hundred a minute would do."},
    )
    def post(self, request: Request, access: uuid.UUID) -> Response:
        """Say something about an open request, to whoever may see it."""
        found = access_request(self.person, access)
        made = comment_on_request(found, actor=self.person, text=self.taken["text"])
        return Response(CommentGiven(made).data, status=201)


class WithdrawRequest(RequestsBase):
    @operation(
        "withdraw_request",
        "Withdraw a request.",
        gives=RequestWithCommentsGiven,
        refuses=_MISSING,
    )
    def post(self, request: Request, access: uuid.UUID) -> Response:
        """Take an open request back: your own, or one of a team whose keys you manage."""
        withdraw_request(access_request(self.person, access), actor=self.person)
        return self.answer(access)


class Queue(RequestsBase):
    permission_classes = [MayDecide]

    @operation("list_all_requests", "List all requests.", gives=_Page, query=RequestQuery)
    def get(self, request: Request) -> Response:
        """Answer what anybody asked for, the newest first; to whoever does not decide on requests, what they are to agree to."""
        return self.listed(requests_to_decide(self.person), of="queue")


class QueuedRequest(RequestsBase):
    permission_classes = [MayDecide]

    @operation(
        "get_any_request", "Read any request.", gives=RequestWithCommentsGiven, refuses=_MISSING
    )
    def get(self, request: Request, access: uuid.UUID) -> Response:
        """Answer one request, with what was said about it."""
        return self.answer(access)


class QueuedComments(RequestComments):
    permission_classes = [MayDecide]

    @operation(
        "answer_request",
        "Comment as whoever decides.",
        takes=NewComment,
        gives=CommentGiven,
        status=201,
        refuses=_MISSING,
    )
    def post(self, request: Request, access: uuid.UUID) -> Response:
        """Say something about an open request, to whoever may see it."""
        return super().post(request, access)


class ApproveRequest(RequestsBase):
    permission_classes = [MayDecide]

    @operation(
        "approve_request",
        "Approve a request.",
        takes=Approval,
        gives=RequestWithCommentsGiven,
        refuses=_MISSING,
        example={"reason": "Fewer tokens to begin with.", "tokens_per_minute": 50000},
    )
    def post(self, request: Request, access: uuid.UUID) -> Response:
        """Agree to what was asked for, or to less, in every step that waits for you; the last agreement makes the grants.

        Nobody decides on a request of their own.
        """
        found = access_request(self.person, access)
        facts: dict[str, Any] = dict(self.taken)
        if "models" in facts:
            facts["models"] = requested_models_named(found, facts["models"])
        if "scopes" in facts:
            facts["scopes"] = [Scope(scope) for scope in facts["scopes"]]
        approve_request(found, actor=self.person, **facts)
        return self.answer(access)


class DenyRequest(RequestsBase):
    permission_classes = [MayDecide]

    @operation(
        "deny_request",
        "Deny a request.",
        takes=Denial,
        gives=RequestWithCommentsGiven,
        refuses=_MISSING,
        example={"reason": "Invoices are confidential; ask for a model of that class."},
    )
    def post(self, request: Request, access: uuid.UUID) -> Response:
        """Refuse what was asked for, with the reason. Nobody decides on a request of their own."""
        found = access_request(self.person, access)
        deny_request(found, actor=self.person, reason=self.taken["reason"])
        return self.answer(access)
