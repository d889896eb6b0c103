"""Who is meant by a text: a key, a person or a service account, for whoever may have anybody explained."""

import uuid

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.models import ApiKey, ServiceAccount, Team, User
from proxy.explain.situation import key_as_new

PUBLIC_ID_MAX = 16


def key_meant(who: str, team: str) -> ApiKey:
    """Return the key, or one as it would be issued to the person or the service account.

    who: a key, what it shows of itself, a person's e-mail address, or the id of a key or a service account.
    team: the slug of the team in which a person calls; "" where they are in one alone.
    Raises: ValidationError naming the field.
    """
    if "@" in who:
        return _of_person(who, team)
    by_id = _as_id(who)
    if by_id is not None:
        account = ServiceAccount.objects.select_related("team").filter(pk=by_id).first()
        if account is not None:
            return key_as_new(account.team, account)
    key = ApiKey.objects.select_related("team", "service_account", "person")
    found = key.filter(pk=by_id) if by_id else key.filter(public_id=public_part(who))
    named = found.first()
    if named is None:
        raise ValidationError({"who": _("There is no such key or service account.")})
    return named


def public_part(text: str) -> str:
    """Of a whole key only what it shows of itself is looked for."""
    parts = text.split("_")
    return (parts[1] if len(parts) > 1 and parts[0] == "lk" else text)[:PUBLIC_ID_MAX]


def _of_person(email: str, slug: str) -> ApiKey:
    person = User.objects.filter(email__iexact=email).first()
    if person is None:
        raise ValidationError({"who": _("There is no such person.")})
    teams = (
        Team.objects.filter(slug=slug) if slug else Team.objects.filter(memberships__person=person)
    )
    found = list(teams[:2])
    if len(found) != 1:
        text = (
            _("There is no such team.") if slug else _("Name one team in which the person calls.")
        )
        raise ValidationError({"team": text})
    return key_as_new(found[0], person)


def _as_id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
