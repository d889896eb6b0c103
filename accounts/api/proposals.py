"""What takes two people: what waits, and deciding on it."""

import uuid
from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from rest_framework import serializers
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.fields import Choice, Given
from accounts.api.operations import Reason, operation
from accounts.api.pages import PageQuery, page_of
from accounts.api.permissions import has_scope
from accounts.api.problems import ProblemCode
from accounts.api.views import ManagementView
from accounts.models import Proposal
from accounts.models.keys import Scope
from accounts.models.proposals import ProposalState, ProposedAction
from accounts.two_person import actions_for
from accounts.writes.proposals import confirm_proposal, refuse_proposal, withdraw_proposal

_MISSING = [ProblemCode.NOT_FOUND]


class ProposalGiven(Given):
    id = serializers.UUIDField()
    action = serializers.ChoiceField(choices=ProposedAction.choices)
    subject_id = serializers.UUIDField(allow_null=True)
    facts = serializers.SerializerMethodField()
    why = serializers.CharField()
    state = serializers.ChoiceField(choices=ProposalState.choices)
    proposed_by_id = serializers.UUIDField()
    decided_by_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()

    def get_facts(self, found: Proposal) -> dict[str, Any]:
        facts: dict[str, Any] = found.facts
        return facts


class MayPropose(BasePermission):
    """Whoever signed in, or came with a key that may administer, and may do something that takes two people."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        person = request.user
        if not person.is_authenticated or not has_scope(request, Scope.ADMINISTER):
            return False
        person.acts_in_team_id = None
        return bool(actions_for(person))


class ProposalsBase(ManagementView):
    permission_classes = [MayPropose]

    def seen(self) -> QuerySet[Proposal]:
        """The proposals of what the person may do."""
        return Proposal.objects.filter(action__in=actions_for(self.person))

    def found(self, proposal: uuid.UUID) -> Proposal:
        """Raises: Http404."""
        found = self.seen().filter(pk=proposal).first()
        if found is None:
            raise Http404
        return found

    def answer(self, proposal: uuid.UUID) -> Response:
        return Response(ProposalGiven(self.found(proposal)).data)


class ProposalQuery(PageQuery):
    state = Choice(choices=ProposalState.choices, required=False)


class Proposals(ProposalsBase):
    @operation(
        "list_proposals",
        "List proposals.",
        gives=page_of(ProposalGiven, "ProposalPageGiven"),
        query=ProposalQuery,
    )
    def get(self, request: Request) -> Response:
        """Answer what was proposed of the acts that you may decide on, the newest first."""
        rows = self.seen()
        if "state" in self.asked:
            rows = rows.filter(state=self.asked["state"])
        return self.page(rows, ProposalGiven, by="-id", of="proposals")


class ProposalView(ProposalsBase):
    @operation("get_proposal", "Read a proposal.", gives=ProposalGiven, refuses=_MISSING)
    def get(self, request: Request, proposal: uuid.UUID) -> Response:
        """Answer one of the proposals that you may decide on."""
        return self.answer(proposal)


class ConfirmProposal(ProposalsBase):
    @operation("confirm_proposal", "Confirm a proposal.", gives=ProposalGiven, refuses=_MISSING)
    def post(self, request: Request, proposal: uuid.UUID) -> Response:
        """Carry it out at once, in the name of both. Nobody confirms a proposal of their own."""
        confirm_proposal(self.found(proposal), actor=self.actor)
        # What was confirmed may have been one's own right to look at it.
        return Response(ProposalGiven(Proposal.objects.get(pk=proposal)).data)


class RefuseProposal(ProposalsBase):
    @operation(
        "refuse_proposal",
        "Refuse a proposal.",
        takes=Reason,
        gives=ProposalGiven,
        refuses=_MISSING,
        example={"reason": "A custom role with less would do."},
    )
    def post(self, request: Request, proposal: uuid.UUID) -> Response:
        """Refuse what another person proposed."""
        refuse_proposal(self.found(proposal), actor=self.actor, reason=self.taken["reason"])
        return self.answer(proposal)


class WithdrawProposal(ProposalsBase):
    @operation("withdraw_proposal", "Withdraw a proposal.", gives=ProposalGiven, refuses=_MISSING)
    def post(self, request: Request, proposal: uuid.UUID) -> Response:
        """Take a proposal of your own back."""
        withdraw_proposal(self.found(proposal), by=self.person)
        return self.answer(proposal)
