from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import COMMAND
from accounts.models import Membership
from accounts.writes.teams import remove_member


class Command(BaseCommand):
    help = "Take a person out of a team and revoke the person's keys of that team, for good."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("team", help="The team's slug.")
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        membership = Membership.objects.filter(
            team__slug=options["team"], person__email__iexact=options["email"]
        ).first()
        if membership is None:
            raise CommandError("No team with this slug has a member with this address.")
        remove_member(membership, actor=COMMAND)
        self.stdout.write(f"{options['email']} is no longer in team {options['team']}.")
