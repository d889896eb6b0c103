from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import COMMAND
from accounts.management.people import person_with
from accounts.writes.portal_roles import change_break_glass
from portal.lib.validation_text import validation_text


class Command(BaseCommand):
    help = "Let an administrator sign in by password where single sign-on is enforced, or no more with --off."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--off", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        person = person_with(options["email"])
        try:
            change_break_glass(person, is_break_glass=not options["off"], actor=COMMAND)
        except ValidationError as error:
            raise CommandError(validation_text(error)) from None
        state = "no longer signs" if options["off"] else "signs"
        self.stdout.write(f"{person.email} {state} in by password in any case.")
