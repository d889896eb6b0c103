from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts.audit import COMMAND
from accounts.models import User
from accounts.models.teams import Role
from accounts.writes.teams import add_member, create_service_account, create_team
from portal.lib.validation_text import validation_text


class Command(BaseCommand):
    help = "Create a team, with service accounts and members if named."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--cost-centre", default="")
        parser.add_argument("--service-account", action="append", default=[], metavar="NAME")
        parser.add_argument(
            "--member",
            action="append",
            default=[],
            metavar="EMAIL:ROLE",
            help=f"ROLE is one of {', '.join(Role.values)}.",
        )

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            team = create_team(options["name"], actor=COMMAND, cost_centre=options["cost_centre"])
            for name in options["service_account"]:
                create_service_account(team, name=name, actor=COMMAND)
            for entry in options["member"]:
                email, _, role = entry.rpartition(":")
                person = User.objects.get(email__iexact=email)
                add_member(team, person=person, role=Role(role), actor=COMMAND)
        except ValidationError as error:
            raise CommandError(validation_text(error)) from None
        except User.DoesNotExist:
            raise CommandError(f"Nobody has the address of --member {entry!r}.") from None
        except ValueError:
            raise CommandError(f"--member {entry!r} is not EMAIL:ROLE.") from None
        self.stdout.write(f"Team {team.slug} is there.")
