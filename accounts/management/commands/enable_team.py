from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import COMMAND
from accounts.models import Team
from accounts.writes.teams import enable_team


class Command(BaseCommand):
    help = "Let the keys of a disabled team call again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("team", help="The team's slug.")

    def handle(self, *args: Any, **options: Any) -> None:
        team = Team.objects.filter(slug=options["team"]).first()
        if team is None:
            raise CommandError("No team has this slug.")
        enable_team(team, actor=COMMAND)
        self.stdout.write(f"Team {team.slug} is enabled.")
