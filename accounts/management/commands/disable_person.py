from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import COMMAND
from accounts.management.people import person_with
from accounts.writes.people import disable_person
from portal.lib.validation_text import validation_text


class Command(BaseCommand):
    help = (
        "Keep a person from signing in, sign them out, and refuse their keys, until enable_person."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--reason", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        person = person_with(options["email"])
        try:
            disable_person(person, actor=COMMAND, reason=options["reason"])
        except ValidationError as error:
            raise CommandError(validation_text(error)) from None
        self.stdout.write(f"{person.email} is disabled.")
