from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.core.management.base import CommandError


class Command(createsuperuser.Command):
    """In the place of Django's, which takes a weak password without a terminal and leaves no trace."""

    help = "Refused: create_admin makes administrators."

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError(
            "Administrators are made with create_admin, which holds passwords to the rules and is audited."
        )
