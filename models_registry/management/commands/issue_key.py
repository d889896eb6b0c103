from typing import Any

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts.audit import COMMAND
from accounts.models import ServiceAccount, Team, User
from accounts.models.keys import Scope
from models_registry.models import AiModel
from models_registry.writes.grants import narrow_key
from models_registry.writes.keys import issue_bounded_key
from portal.lib.clock import days_ahead
from portal.lib.validation_text import validation_text


class Command(BaseCommand):
    help = "Issue an API key. The key alone is printed on standard output, once; it cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("team", help="The team's slug.")
        holder = parser.add_mutually_exclusive_group(required=True)
        holder.add_argument("--service-account", metavar="NAME")
        holder.add_argument("--person", metavar="EMAIL")
        parser.add_argument("--name", required=True)
        parser.add_argument("--purpose", default="")
        parser.add_argument("--tag", action="append", default=[], metavar="TEXT")
        parser.add_argument("--cost-centre", default="")
        parser.add_argument(
            "--model",
            action="append",
            metavar="NAME",
            help="Narrows the key to these models of those granted. Default: all of them.",
        )
        parser.add_argument("--scope", action="append", choices=Scope.values, required=True)
        parser.add_argument("--days", type=int, default=90, help="Until the key ends. Default: 90.")
        parser.add_argument("--network", action="append", default=[], metavar="CIDR")
        parser.add_argument("--requests-per-minute", type=int)
        parser.add_argument("--tokens-per-minute", type=int)

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            team = Team.objects.get(slug=options["team"])
            issued = issue_bounded_key(
                team,
                holder=_holder(team, options),
                name=options["name"],
                purpose=options["purpose"],
                tags=options["tag"],
                cost_centre=options["cost_centre"],
                scopes=[Scope(scope) for scope in options["scope"]],
                expires_at=days_ahead(options["days"]),
                networks=options["network"],
                requests_per_minute=options["requests_per_minute"],
                tokens_per_minute=options["tokens_per_minute"],
                actor=COMMAND,
            )
            if options["model"]:
                models = [AiModel.objects.get(name=name) for name in options["model"]]
                narrow_key(issued.key, models=models, actor=COMMAND)
        except ObjectDoesNotExist as error:
            raise CommandError(str(error)) from None
        except ValidationError as error:
            raise CommandError(validation_text(error)) from None
        except ValueError as error:
            raise CommandError(f"--days: {error}.") from None
        self.stderr.write(
            f"Key {issued.key} of team {team.slug} ends {issued.key.expires_at:%Y-%m-%d}."
        )
        self.stdout.write(issued.text)


def _holder(team: Team, options: dict[str, Any]) -> ServiceAccount | User:
    if options["service_account"]:
        return ServiceAccount.objects.get(team=team, name=options["service_account"])
    return User.objects.get(email__iexact=options["person"])
