from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import COMMAND
from accounts.management.people import person_with
from accounts.models import SignOnConnection
from accounts.writes.arrival import link_person
from portal.lib.validation_text import validation_text


class Command(BaseCommand):
    help = (
        "Link somebody with a role for the portal to who they are at a provider of single sign-on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("connection", help="The connection's slug.")
        parser.add_argument(
            "subject", help="The provider's name for them: `sub`, or the NameID of SAML."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        person = person_with(options["email"])
        connection = SignOnConnection.objects.filter(slug=options["connection"]).first()
        if connection is None:
            raise CommandError("There is no such connection.")
        try:
            link_person(person, connection=connection, subject=options["subject"], actor=COMMAND)
        except ValidationError as error:
            raise CommandError(validation_text(error)) from None
        self.stdout.write(f"{person.email} signs in with {connection.name}.")
