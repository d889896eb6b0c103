"""The doors to what can be called and asked for; see accounts.access for what they raise."""

import uuid

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import Http404

from accounts.access import teams_of
from accounts.models import User
from accounts.roles import PortalRight, Right, holds
from models_registry.models import AccessRequest, AiModel, Grant, ModelStatus, Visibility
from models_registry.models.catalogue import MODEL_NAME
from models_registry.step_access import is_approver_of, requests_to_agree_to
from portal.lib.clock import utc_now

OFFERED = (ModelStatus.PUBLISHED, ModelStatus.DEPRECATED)


def grants_of(person: User) -> QuerySet[Grant]:
    """The live and coming grants of the person's teams and of their service accounts."""
    teams = teams_of(person)
    return Grant.objects.filter(
        Q(team__in=teams) | Q(service_account__team__in=teams), ends_at__gt=utc_now()
    )


def grants_to(*, team_id: uuid.UUID, service_account_id: uuid.UUID | None) -> QuerySet[Grant]:
    """All grants by which a credential of the team is served: the team's, and those of the service account that holds it."""
    served = Q(team_id=team_id)
    if service_account_id is not None:
        served |= Q(service_account_id=service_account_id)
    return Grant.objects.filter(served)


def live_grants_of(person: User) -> QuerySet[Grant]:
    """Those of the person's grants by which a model can be called now."""
    return grants_of(person).filter(starts_at__lte=utc_now())


def models_seen_by(person: User) -> QuerySet[AiModel]:
    """The catalogue as the person sees it: what is offered to everyone, and what a team of theirs was granted or owns."""
    seen = (
        Q(visibility=Visibility.EVERYONE)
        | Q(pk__in=grants_of(person).values("model_id"))
        | Q(owner__in=teams_of(person))
    )
    return AiModel.objects.filter(seen, status__in=OFFERED).select_related("owner").order_by("name")


def access_model(person: User, name: str) -> AiModel:
    """Return the model by its name. Raises: Http404."""
    model = models_seen_by(person).filter(name=name).first() if could_name_a_model(name) else None
    if model is None:
        raise Http404
    return model


def could_name_a_model(text: str) -> bool:
    """Whether it has the form of a name. What has not is not looked up: PostgreSQL takes no text with a NUL."""
    try:
        MODEL_NAME(text)
    except ValidationError:
        return False
    return True


def may_decide(person: User) -> bool:
    """Whether the person sees every request and decides where no policy says who does; not while they act in one team alone."""
    return holds(person, PortalRight.DECIDE_REQUESTS)


def requests_seen_by(person: User) -> QuerySet[AccessRequest]:
    """The requests of the person's teams, newest first."""
    return (
        AccessRequest.objects.filter(team__in=teams_of(person))
        .select_related("team", "service_account", "requested_by", "decided_by")
        .order_by("-id")
    )


def requests_to_decide(person: User) -> QuerySet[AccessRequest]:
    """Every request for whoever decides; for others, the open ones in which they can agree."""
    if may_decide(person):
        return AccessRequest.objects.all()
    return requests_to_agree_to(person)


def access_request(person: User, request_id: uuid.UUID) -> AccessRequest:
    """Return a request of a team of theirs or one that they are to agree to, or any to whoever decides. Raises: Http404."""
    found = (
        AccessRequest.objects.select_related(
            "team", "service_account", "requested_by", "decided_by"
        )
        .filter(pk=request_id)
        .first()
    )
    if found is None:
        raise Http404
    if may_decide(person) or is_approver_of(person, found):
        return found
    if not teams_of(person, right=Right.SEE_TEAM).filter(pk=found.team_id).exists():
        raise Http404
    return found
