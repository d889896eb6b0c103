from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import COMMAND
from accounts.models import User
from accounts.writes.people import enable_person


class Command(BaseCommand):
    help = "Let a disabled person sign in and their keys call again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        person = User.objects.filter(email__iexact=options["email"]).first()
        if person is None:
            raise CommandError("Nobody has this address.")
        enable_person(person, actor=COMMAND)
        self.stdout.write(f"{person.email} is enabled.")
