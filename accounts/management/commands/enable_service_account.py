from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import COMMAND
from accounts.models import ServiceAccount
from accounts.writes.teams import enable_service_account


class Command(BaseCommand):
    help = "Let the keys of a disabled service account call again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("team", help="The team's slug.")
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        account = ServiceAccount.objects.filter(
            team__slug=options["team"], name=options["name"]
        ).first()
        if account is None:
            raise CommandError("No team with this slug has a service account of this name.")
        enable_service_account(account, actor=COMMAND)
        self.stdout.write(f"Service account {account.name} of team {options['team']} is enabled.")
