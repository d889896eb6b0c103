from typing import Any

from django.contrib.auth.management.commands import changepassword
from django.core.management.base import CommandError


class Command(changepassword.Command):
    """In the place of Django's, which would leave no trace of whose password was set."""

    help = "Refused: people choose their passwords themselves."

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError(
            "People choose a new password by the link that the sign-in page sends them. Where no administrator "
            "can sign in, make another with create_admin."
        )
