"""The approvals queue: what waits, and on one page all that a decision needs."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import Case, Exists, F, OuterRef, Prefetch, QuerySet, When
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ActForm
from accounts.admin.base import PortalAdmin, acting_person
from accounts.admin.cells import NOTHING, Cell, list_of, micro_usd, moment, pill, text, whole
from accounts.admin.lists import ChoiceFilter, ChoicesFilter, RelatedFilter
from accounts.models import AuditEntry, User
from accounts.roles import PortalRight, holds
from models_registry.admin.request_forms import (
    ApproveAsAskedForm,
    ApproveForm,
    CommentForm,
    DenyForm,
    agreed_part,
)
from models_registry.admin.request_tables import link_for, tables_for
from models_registry.models import AccessRequest, DataClass, RequestedModel, RequestStatus
from models_registry.step_access import steps_waiting_for
from models_registry.writes.requests import approve_request, comment_on_request, deny_request

_TONES = {
    RequestStatus.OPEN: "warn",
    RequestStatus.APPROVED: "ok",
    RequestStatus.DENIED: "bad",
    RequestStatus.WITHDRAWN: "quiet",
}
# The open ones first, the longest waiting on top; below them the closed ones, the newest first.
WAITING_FIRST = Case(When(status=RequestStatus.OPEN, then=F("created_at"))).asc(nulls_last=True)


class DataClassFilter(ChoiceFilter):
    """Requests that name at least one model of the class."""

    title = gettext_lazy("class of data")
    parameter_name = "data_class"

    def choices_for(self, request: HttpRequest) -> list[tuple[str, str]]:
        return DataClass.choices

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AccessRequest]
    ) -> QuerySet[AccessRequest]:
        chosen = self.chosen()
        if chosen is None:
            return queryset
        named = RequestedModel.objects.filter(request=OuterRef("pk"), model__data_class=chosen)
        return queryset.filter(Exists(named))


def _approve(request: AccessRequest, actor: User, values: dict[str, Any]) -> None:
    approve_request(request, actor=actor, reason=values["reason"], **agreed_part(request, values))


def _approve_as_asked(request: AccessRequest, actor: User, values: dict[str, Any]) -> None:
    approve_request(request, actor=actor, reason=values["reason"])


def _deny(request: AccessRequest, actor: User, values: dict[str, Any]) -> None:
    deny_request(request, actor=actor, reason=values["reason"])


def _comment(request: AccessRequest, actor: User, values: dict[str, Any]) -> None:
    comment_on_request(request, actor=actor, text=values["text"])


def is_open(request: AccessRequest) -> bool:
    return request.status == RequestStatus.OPEN


@admin.register(AccessRequest)
class AccessRequestAdmin(PortalAdmin):
    """Who asks for what. Whoever may decide sees them."""

    sees = right = PortalRight.DECIDE_REQUESTS
    object_template = act_template = "admin/latchkey/request.html"
    list_display = ("asks_for", "team", "asker", "status_shown", "classes", "age", "until")
    list_filter = (("status", ChoicesFilter), ("team", RelatedFilter), DataClassFilter)
    list_select_related = ("team", "requested_by")
    search_fields = (
        "team__name",
        "requested_by__email",
        "justification",
        "requested_models__model__name",
    )
    search_help_text = gettext_lazy("Team, person, model or reason")
    ordering = (WAITING_FIRST, "-id")
    acts = (
        Act(
            "approve",
            gettext_lazy("Approve"),
            _approve,
            gettext_lazy("You have agreed."),
            ApproveForm,
            is_open,
        ),
        Act(
            "approve-as-asked",
            gettext_lazy("Approve as asked"),
            _approve_as_asked,
            gettext_lazy("Agreed to as asked."),
            ApproveAsAskedForm,
            is_open,
            warning=gettext_lazy(
                "Each request is agreed to in full, and granted where nobody else has to agree."
            ),
            is_bulk=True,
            is_listed=False,
        ),
        Act(
            "deny",
            gettext_lazy("Deny"),
            _deny,
            gettext_lazy("The request is denied."),
            DenyForm,
            is_open,
            is_danger=True,
            is_bulk=True,
        ),
        Act(
            "comment",
            gettext_lazy("Comment"),
            _comment,
            gettext_lazy("The comment is there."),
            CommentForm,
            is_open,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[AccessRequest]:
        found: QuerySet[AccessRequest] = super().get_queryset(request)
        named = RequestedModel.objects.select_related("model", "grant").order_by("model__name")
        return found.select_related(
            "team", "requested_by", "decided_by", "service_account"
        ).prefetch_related(Prefetch("requested_models", named))

    @display(description=gettext_lazy("asks for"))
    def asks_for(self, request: AccessRequest) -> str:
        return ", ".join(sorted(named.model.name for named in request.requested_models.all()))

    @display(description=gettext_lazy("asked by"), ordering="requested_by__email")
    def asker(self, request: AccessRequest) -> str:
        return str(request.requested_by or NOTHING)

    @display(description=gettext_lazy("status"), ordering="status")
    def status_shown(self, request: AccessRequest) -> SafeString:
        return status_of(request)

    @display(description=gettext_lazy("class of data"))
    def classes(self, request: AccessRequest) -> str:
        order = list(DataClass.values)
        named = {one.model.data_class for one in request.requested_models.all()}
        return ", ".join(DataClass(one).label for one in sorted(named, key=order.index))

    @display(description=gettext_lazy("age"), ordering="created_at")
    def age(self, request: AccessRequest) -> str:
        return timesince(request.created_at, depth=1)

    @display(description=gettext_lazy("until"), ordering="wanted_until")
    def until(self, request: AccessRequest) -> Cell:
        return moment(request.wanted_until)

    def name_of(self, found: AccessRequest) -> str:
        facts = {"team": found.team, "models": self.asks_for(found)}
        return _("%(team)s asks for %(models)s") % facts

    def object_context(self, request: HttpRequest, found: AccessRequest) -> dict[str, Any]:
        person = acting_person(request)
        is_linked = holds(person, PortalRight.SEE_PEOPLE)
        waits = steps_waiting_for(person).filter(request=found).exists()
        offered = [
            act
            for act in self.acts
            if act.is_listed and act.shows(found) and (waits or act.name != "approve")
        ]
        return {
            **self._page_context(request),
            "title": self.name_of(found),
            "found": found,
            "facts": _facts(found, is_linked=is_linked),
            "tables": tables_for(found, is_linked=is_linked),
            "comments": found.comments.select_related("author").order_by("at"),
            "trail": list_of(AuditEntry, f"?q={found.pk}") if is_linked else "",
            "is_own": is_open(found) and found.requested_by_id == person.pk,
            "waits_for_others": is_open(found) and not waits,
            "decision": _decision(found),
            "forms": {act.name: (act, act.form(subject=found, person=person)) for act in offered},
        }

    def act_context(
        self, request: HttpRequest, act: Act, form: ActForm, found: AccessRequest | None
    ) -> dict[str, Any]:
        """A refused decision is shown where it was made, beside what it was made from."""
        if found is None:
            return super().act_context(request, act, form, found)
        context = self.object_context(request, found)
        context["forms"][act.name] = (act, form)
        context["refused"] = form.non_field_errors() if form.is_bound else ()
        return context


def status_of(request: AccessRequest) -> SafeString:
    status = RequestStatus(request.status)
    return pill(str(status.label), _TONES[status])


def _decision(request: AccessRequest) -> list[tuple[str, Cell]]:
    if request.status == RequestStatus.OPEN:
        return []
    return [
        (_("Decided"), moment(request.decided_at)),
        (_("By"), str(request.decided_by or NOTHING)),
        (_("Reason"), text(request.decision_reason)),
    ]


def _facts(request: AccessRequest, *, is_linked: bool) -> list[tuple[str, Cell]]:
    membership = (
        request.team.memberships.select_related("custom_role")
        .filter(person=request.requested_by_id)
        .first()
    )
    role = membership.role_name if membership else _("no longer in the team")
    return [
        (_("Status"), status_of(request)),
        (_("Asked by"), link_for(request.requested_by, is_linked=is_linked)),
        (_("Role in the team"), role),
        (_("Team"), link_for(request.team, is_linked=is_linked)),
        (
            _("For"),
            link_for(request.service_account, is_linked=is_linked)
            if request.service_account
            else _("The whole team"),
        ),
        (_("Why"), text(request.justification)),
        (_("Kinds of call"), ", ".join(request.scopes)),
        (_("Wished until"), moment(request.wanted_until)),
        (_("Wished calls a minute"), whole(request.requests_per_minute)),
        (_("Wished tokens a minute"), whole(request.tokens_per_minute)),
        (_("Wished budget a month, for each model"), micro_usd(request.budget_micro_usd)),
        (_("Most sensitive data"), request.get_data_class_display()),
        (_("Asked"), moment(request.created_at)),
        (_("Waits"), timesince(request.created_at) if is_open(request) else None),
    ]
