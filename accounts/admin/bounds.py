"""From where and when something may be used: the fields of that, and the act that every such part of the admin has."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ActForm
from accounts.admin.cells import Cell
from accounts.audit import acting
from accounts.models import User
from accounts.pages.bounds_fields import HoursFields, NetworksField, hours_from, hours_initial
from accounts.roles import PortalRight
from accounts.writes.bounds import Bounded, change_bounds
from portal.lib.hours import hours_text

__all__ = ["NetworksField", "bounds_act", "bounds_facts"]


class BoundsForm(ActForm, HoursFields):
    networks = NetworksField()
    field_order = ("networks", "days", "begins", "ends", "zone")

    def prepare(self) -> None:
        self.initial.setdefault("networks", "\n".join(self.subject.networks))
        self.initial = hours_initial(self.subject.hours) | dict(self.initial)


def bounds_act() -> Act:
    """The act that changes from where and when the subject may be used."""
    return Act(
        "bounds",
        gettext_lazy("Change from where and when"),
        _change,
        gettext_lazy("It may be used from there and then alone, within a second."),
        BoundsForm,
        right=PortalRight.MANAGE_TEAMS,
    )


def bounds_facts(found: Bounded) -> list[tuple[str, Cell]]:
    return [
        (_("Networks"), ", ".join(found.networks) or _("Any")),
        (_("Hours"), hours_text(found.hours) or _("Any")),
    ]


def _change(subject: Bounded, actor: User, values: dict[str, Any]) -> None:
    change_bounds(
        subject, networks=values["networks"], hours=hours_from(values), actor=acting(actor)
    )
