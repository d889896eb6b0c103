"""The steps of a request in words, for pages and the admin."""

from django.db.models import QuerySet
from django.utils.translation import ngettext

from models_registry.models import AccessRequest, PolicyStep, RequestStep, StepBy


def steps_shown(request: AccessRequest) -> QuerySet[RequestStep]:
    """A request's steps with what their words name."""
    return (
        request.steps.select_related("team", "version__policy")
        .prefetch_related("approvals__person")
        .order_by("stage", "id")
    )


def who_agrees(step: PolicyStep | RequestStep) -> str:
    """As "any 2 of Finance", or "a manager of Invoicing"."""
    names = {"team": "" if step.team is None else step.team.name, "needs": step.needs}
    return _WORDS[StepBy(step.by), step.team is not None](step.needs) % names


_WORDS = {
    (StepBy.DECIDERS, False): lambda needs: ngettext(
        "whoever decides on requests", "%(needs)s of those who decide on requests", needs
    ),
    (StepBy.SECURITY, False): lambda needs: ngettext("security", "%(needs)s of security", needs),
    (StepBy.GROUP, True): lambda needs: ngettext(
        "a member of %(team)s", "%(needs)s members of %(team)s", needs
    ),
    (StepBy.OWNER, True): lambda needs: ngettext(
        "a manager of %(team)s, which owns the model",
        "%(needs)s managers of %(team)s, which owns the model",
        needs,
    ),
    (StepBy.OWNER, False): lambda needs: ngettext(
        "a manager of the team that owns the model",
        "%(needs)s managers of the team that owns the model",
        needs,
    ),
    (StepBy.MANAGER, True): lambda needs: ngettext(
        "a manager of %(team)s", "%(needs)s managers of %(team)s", needs
    ),
    (StepBy.MANAGER, False): lambda needs: ngettext(
        "a manager of the team that asks", "%(needs)s managers of the team that asks", needs
    ),
}
