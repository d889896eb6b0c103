"""How commands find the person that they are told of."""

from django.core.management.base import CommandError

from accounts.models import User


def person_with(email: str) -> User:
    """Return the person with this address, whatever its case. Raises: CommandError."""
    person = User.objects.filter(email__iexact=email).first()
    if person is None:
        raise CommandError("Nobody has this address.")
    return person
