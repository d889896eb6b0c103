"""Who has a second factor, and who has to have one: what pages, doors and writes ask alike."""

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, Q, QuerySet

from accounts.models import User

# Recovery codes stand in for a second factor and are none.
SECOND_FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


class SecondFactorNeeded(PermissionDenied):
    """What was asked for opens to whoever has set up a second factor, and this person has none."""


def second_factors_of(person: User) -> QuerySet[Authenticator]:
    """The authenticator app and the passkeys of a person, oldest first."""
    found: QuerySet[Authenticator] = Authenticator.objects.filter(
        user=person, type__in=SECOND_FACTORS
    ).order_by("created_at", "pk")
    return found


def has_second_factor(person: User) -> bool:
    return second_factors_of(person).exists()


def must_set_one_up(person: User) -> bool:
    """Whether the person is of the staff, of whom a second factor is demanded, and has none."""
    return (
        person.is_staff
        and settings.LATCHKEY_STAFF_SECOND_FACTOR == "required"
        and not has_second_factor(person)
    )


def team_lets_in(person: User) -> Q:
    """A condition on the person's memberships: the team demands no second factor, or they have one."""
    return Q(team__requires_second_factor=False) | Q(Exists(second_factors_of(person)))
