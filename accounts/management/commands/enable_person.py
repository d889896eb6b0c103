from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts.audit import COMMAND
from accounts.management.people import person_with
from accounts.writes.people import enable_person


class Command(BaseCommand):
    help = "Let a disabled person sign in and their keys call again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        person = person_with(options["email"])
        enable_person(person, actor=COMMAND)
        self.stdout.write(f"{person.email} is enabled.")
