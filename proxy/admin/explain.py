"""The ways from a key, a person, a service account and a model to the page that says what they may call, and why."""

from typing import Any
from urllib.parse import urlencode

from django.db.models import Model
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.admin.base import show_also
from accounts.admin.cells import Cell, Table, link
from accounts.models import ApiKey, Membership, ServiceAccount, User
from accounts.roles import PortalRight
from models_registry.models import AiModel

TEAMS_SHOWN = 20


def _table(rows: list[list[Cell]]) -> Table:
    return Table(_("May it call, and why or why not"), [], rows, empty=_("They are in no team."))


def _asked(label: str, **query: Any) -> list[Cell]:
    return [link(label, f"{reverse('admin:explain')}?{urlencode(query)}")]


def _by_id(found: Model) -> Table:
    return _table([_asked(_("Explain what it may call"), who=found.pk)])


def _of_person(person: User) -> Table:
    memberships = Membership.objects.filter(person=person).select_related("team")
    return _table(
        [
            _asked(
                _("Explain what they may call in %(team)s") % {"team": one.team.name},
                who=person.email,
                team=one.team.slug,
            )
            for one in memberships.order_by("team__name")[:TEAMS_SHOWN]
        ]
    )


def _of_model(model: AiModel) -> Table:
    return _table([_asked(_("Explain who may call it"), model=model.name)])


show_also(ApiKey, _by_id, to=PortalRight.SEE_REGISTRY)
show_also(ServiceAccount, _by_id, to=PortalRight.SEE_REGISTRY)
show_also(User, _of_person, to=PortalRight.SEE_REGISTRY)
show_also(AiModel, _of_model, to=PortalRight.SEE_PEOPLE)
