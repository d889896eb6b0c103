"""What a version of a policy counts for, in words."""

from collections.abc import Iterable

from django.utils.translation import gettext as _

from accounts.models import Team
from models_registry.limit_words import amount_text
from models_registry.models import AiModel, DataClass, LimitMeasure, PolicyVersion


def conditions_of(version: PolicyVersion) -> str:
    """As "public data; at most $20.00 a month", or "every request"."""
    parts = []
    if version.model_ids:
        models = AiModel.objects.filter(pk__in=version.model_ids).order_by("name")
        parts.append(
            _("models: %(names)s") % {"names": _names(models.values_list("name", flat=True))}
        )
    if version.data_classes:
        labels = [str(DataClass(one).label) for one in version.data_classes]
        parts.append(_("data: %(names)s") % {"names": ", ".join(labels)})
    if version.team_ids:
        teams = Team.objects.filter(pk__in=version.team_ids).order_by("name")
        parts.append(
            _("teams: %(names)s") % {"names": _names(teams.values_list("name", flat=True))}
        )
    for amount, words in (
        (version.budget_over, _("more than %(amount)s a month")),
        (version.budget_up_to, _("at most %(amount)s a month")),
    ):
        if amount is not None:
            parts.append(words % {"amount": amount_text(amount, LimitMeasure.MICRO_USD)})
    return "; ".join(parts) or _("every request")


def _names(found: Iterable[str]) -> str:
    """What is gone has no name any more, and matches nothing."""
    return ", ".join(found) or _("none that is still there")
