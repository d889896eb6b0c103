"""What stands beside a request for whoever decides: the models asked for, what the team has, and what it uses."""

import datetime

from django.db.models import Model, Q
from django.utils.html import format_html_join
from django.utils.translation import gettext as _

from accounts.admin.cells import (
    NOTHING,
    Cell,
    Table,
    link_to,
    list_of,
    micro_usd,
    moment,
    pill,
    whole,
)
from models_registry.models import AccessRequest, AiModel, Grant, RequestStep
from models_registry.step_words import steps_shown, who_agrees
from models_registry.usage_source import use_of_team
from portal.lib.clock import utc_now

USE_DAYS = 30
SHOWN_MAX = 50


def tables_for(request: AccessRequest, *, is_linked: bool) -> list[Table]:
    """is_linked: whether whoever reads may open the pages that are named."""
    return [
        _steps(request, is_linked=is_linked),
        _asked(request, is_linked=is_linked),
        _granted(request, is_linked=is_linked),
        _used(request, is_linked=is_linked),
    ]


def link_for(found: Model | None, *, is_linked: bool) -> Cell:
    return link_to(found) if is_linked else str(found or NOTHING)


def _steps(request: AccessRequest, *, is_linked: bool) -> Table:
    return Table(
        _("Who has to agree"),
        [_("Stage"), _("Who"), _("Agreed"), _("Turn"), _("Met")],
        [
            [
                step.stage,
                who_agrees(step),
                _agreed(step, is_linked=is_linked),
                moment(step.turn_at),
                moment(step.met_at),
            ]
            for step in steps_shown(request)
        ],
        empty=_("Nobody had to: the policies approve it by themselves."),
    )


def _agreed(step: RequestStep, *, is_linked: bool) -> Cell:
    people = [link_for(approval.person, is_linked=is_linked) for approval in step.approvals.all()]
    return format_html_join(", ", "{}", ((person,) for person in people)) or NOTHING


def _asked(request: AccessRequest, *, is_linked: bool) -> Table:
    return Table(
        _("Models asked for"),
        [
            _("Model"),
            _("Status"),
            _("Class of data"),
            _("Price in / out, a million tokens"),
            _("Grant"),
        ],
        [
            [
                link_for(one.model, is_linked=is_linked),
                one.model.get_status_display(),
                one.model.get_data_class_display(),
                f"{micro_usd(one.model.price_input)} / {micro_usd(one.model.price_output)}",
                _outcome(one.grant, is_linked=is_linked),
            ]
            for one in request.requested_models.all()
        ],
        empty=_("The models that were asked for are gone."),
    )


def _outcome(grant: Grant | None, *, is_linked: bool) -> Cell:
    if grant is None:
        return None
    return link_to(grant, "granted") if is_linked else pill(_("granted"), "ok")


def _granted(request: AccessRequest, *, is_linked: bool) -> Table:
    holder = Q(team=request.team_id) | Q(service_account__team=request.team_id)
    live = Grant.objects.filter(holder, ends_at__gt=utc_now())
    found = live.select_related("model", "service_account").order_by("model__name")[:SHOWN_MAX]
    return Table(
        _("What the team has already"),
        [_("Model"), _("Class of data"), _("For"), _("At most, a minute"), _("Ends")],
        [
            [
                link_for(grant.model, is_linked=is_linked),
                grant.model.get_data_class_display(),
                str(grant.service_account or _("whole team")),
                _limits(grant),
                moment(grant.ends_at),
            ]
            for grant in found
        ],
        empty=_("The team has no live grant."),
        more=list_of(Grant, f"?team__id__exact={request.team_id}") if is_linked else "",
    )


def _limits(grant: Grant) -> Cell:
    limits = [(grant.requests_per_minute, "calls"), (grant.tokens_per_minute, "tokens")]
    return ", ".join(f"{whole(limit)} {unit}" for limit, unit in limits if limit is not None)


def _used(request: AccessRequest, *, is_linked: bool) -> Table:
    since = utc_now() - datetime.timedelta(days=USE_DAYS)
    uses = use_of_team(request.team_id, since=since)[:SHOWN_MAX]
    models = AiModel.objects.in_bulk([use.model_id for use in uses])
    return Table(
        _("What the team used in %(days)s days") % {"days": USE_DAYS},
        [_("Model"), _("Calls"), _("Tokens"), _("Cost")],
        [
            [
                link_for(models[use.model_id], is_linked=is_linked)
                if use.model_id in models
                else str(use.model_id),
                whole(use.calls),
                whole(use.tokens),
                micro_usd(use.cost_micro_usd),
            ]
            for use in uses
        ],
        empty=_("The team called nothing in %(days)s days.") % {"days": USE_DAYS},
    )
