import getpass
import sys
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import COMMAND
from accounts.writes.people import create_person
from portal.lib.validation_text import validation_text


class Command(BaseCommand):
    help = "Create an administrator. The password is asked for, or read from standard input with --password-stdin."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--password-stdin", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        password = _read_password(from_stdin=options["password_stdin"])
        try:
            person = create_person(
                options["email"], password=password, actor=COMMAND, is_administrator=True
            )
        except ValidationError as error:
            raise CommandError(validation_text(error)) from None
        self.stdout.write(f"{person.email} can sign in as an administrator.")


def _read_password(*, from_stdin: bool) -> str:
    """Never from the command line: every user of the host can read that."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise CommandError(
            "There is no terminal to ask on. Pipe the password with --password-stdin."
        )
    password = getpass.getpass("Password: ")
    if password != getpass.getpass("Again: "):
        raise CommandError("The two passwords differ.")
    return password
