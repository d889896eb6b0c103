"""What takes two people: proposals that wait for the second one, and what became of the others."""

from typing import Any

import msgspec
from django.contrib import admin
from django.contrib.admin import display
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ReasonForm
from accounts.admin.base import PortalAdmin, acting_person
from accounts.admin.cells import Cell, link_to, moment, pill, text
from accounts.admin.lists import ChoicesFilter
from accounts.audit import acting
from accounts.models import Proposal, User
from accounts.models.proposals import ProposalState
from accounts.two_person import act_of, actions_for
from accounts.writes.proposals import confirm_proposal, refuse_proposal, withdraw_proposal

_TONES = {
    ProposalState.OPEN: "warn",
    ProposalState.CONFIRMED: "ok",
    ProposalState.REFUSED: "bad",
    ProposalState.WITHDRAWN: "quiet",
}


def what_of(proposal: Proposal) -> str:
    """What it would do, in words."""
    try:
        act = act_of(proposal.action)
        return act.says(act.read(proposal.facts))
    except (KeyError, ValueError, msgspec.ValidationError):
        return _("This cannot be carried out any more.")


def _confirm(proposal: Proposal, actor: User, values: dict[str, Any]) -> None:
    confirm_proposal(proposal, actor=acting(actor))


def _refuse(proposal: Proposal, actor: User, values: dict[str, Any]) -> None:
    refuse_proposal(proposal, actor=acting(actor), reason=values["reason"])


def _withdraw(proposal: Proposal, actor: User, values: dict[str, Any]) -> None:
    withdraw_proposal(proposal, by=actor)


def waits(proposal: Proposal) -> bool:
    return proposal.waits


@admin.register(Proposal)
class ProposalAdmin(PortalAdmin):
    """Whoever holds the right that an action needs sees its proposals, and decides on those of others."""

    list_display = ("action_shown", "proposed_by", "state_shown", "ends")
    list_filter = (("state", ChoicesFilter),)
    list_select_related = ("proposed_by",)
    search_fields = ("proposed_by__email", "why")
    search_help_text = gettext_lazy("Person or reason")
    ordering = ("-id",)
    acts = (
        Act(
            "confirm",
            gettext_lazy("Confirm"),
            _confirm,
            gettext_lazy("It is confirmed and done."),
            shows=waits,
            warning=gettext_lazy("It is carried out at once, in the name of both of you."),
        ),
        Act(
            "refuse",
            gettext_lazy("Refuse"),
            _refuse,
            gettext_lazy("It is refused."),
            ReasonForm,
            shows=waits,
            is_danger=True,
        ),
        Act(
            "withdraw",
            gettext_lazy("Withdraw"),
            _withdraw,
            gettext_lazy("It is withdrawn."),
            shows=waits,
        ),
    )

    def has_module_permission(self, request: HttpRequest) -> bool:
        return isinstance(request.user, User) and bool(actions_for(request.user))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request)

    def may_act(self, request: HttpRequest, act: Act) -> bool:
        return self.has_module_permission(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Proposal]:
        person = acting_person(request)
        proposals: QuerySet[Proposal] = super().get_queryset(request)
        seen = Q(action__in=actions_for(person)) | Q(proposed_by=person)
        return proposals.filter(seen).select_related("proposed_by", "decided_by")

    def object_context(self, request: HttpRequest, found: Proposal) -> dict[str, Any]:
        """Each of the two is offered what is theirs to do."""
        context = super().object_context(request, found)
        is_own = found.proposed_by_id == acting_person(request).pk
        acts = [(act, page) for act, page in context["acts"] if (act.name == "withdraw") == is_own]
        return context | {"acts": acts}

    def name_of(self, found: Proposal) -> str:
        return str(found.get_action_display())

    @display(description=gettext_lazy("action"), ordering="action")
    def action_shown(self, proposal: Proposal) -> str:
        return str(proposal.get_action_display())

    @display(description=gettext_lazy("state"), ordering="state")
    def state_shown(self, proposal: Proposal) -> SafeString:
        if proposal.state == ProposalState.OPEN and not proposal.waits:
            return pill(_("over"), "quiet")
        state = ProposalState(proposal.state)
        return pill(str(state.label), _TONES[state])

    @display(description=gettext_lazy("until"), ordering="ends_at")
    def ends(self, proposal: Proposal) -> Cell:
        return moment(proposal.ends_at)

    def facts(self, found: Proposal) -> list[tuple[str, Cell]]:
        return [
            (_("Action"), self.action_shown(found)),
            (_("What exactly"), what_of(found)),
            (_("State"), self.state_shown(found)),
            (_("Proposed by"), link_to(found.proposed_by)),
            (_("Why"), text(found.why)),
            (_("Proposed"), moment(found.created_at)),
            (_("Until"), moment(found.ends_at)),
            (_("Decided"), moment(found.decided_at)),
            (_("By"), link_to(found.decided_by)),
            (_("Reason"), text(found.decision_reason)),
            *self._hint(found),
        ]

    def _hint(self, found: Proposal) -> list[tuple[str, Cell]]:
        if not found.waits:
            return []
        command = _("manage.py confirm_proposal %(proposal)s") % {"proposal": found.pk}
        return [(_("Where nobody else can confirm it, on the host"), command)]
