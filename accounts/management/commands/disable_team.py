from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import COMMAND
from accounts.models import Team
from accounts.writes.teams import disable_team
from portal.lib.validation_text import validation_text


class Command(BaseCommand):
    help = "Refuse every key of a team until enable_team. Its running calls are cut within seconds."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("team", help="The team's slug.")
        parser.add_argument("--reason", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        team = Team.objects.filter(slug=options["team"]).first()
        if team is None:
            raise CommandError("No team has this slug.")
        try:
            disable_team(team, actor=COMMAND, reason=options["reason"])
        except ValidationError as error:
            raise CommandError(validation_text(error)) from None
        self.stdout.write(f"Team {team.slug} is disabled.")
