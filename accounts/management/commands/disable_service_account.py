from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import COMMAND
from accounts.models import ServiceAccount
from accounts.writes.teams import disable_service_account
from portal.lib.validation_text import validation_text


class Command(BaseCommand):
    help = "Refuse the keys of a service account until enable_service_account. Its running calls are cut within seconds."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("team", help="The team's slug.")
        parser.add_argument("name")
        parser.add_argument("--reason", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        account = ServiceAccount.objects.filter(
            team__slug=options["team"], name=options["name"]
        ).first()
        if account is None:
            raise CommandError("No team with this slug has a service account of this name.")
        try:
            disable_service_account(account, actor=COMMAND, reason=options["reason"])
        except ValidationError as error:
            raise CommandError(validation_text(error)) from None
        self.stdout.write(f"Service account {account.name} of team {options['team']} is disabled.")
