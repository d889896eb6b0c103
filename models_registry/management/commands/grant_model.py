import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import COMMAND
from accounts.models import ServiceAccount, Team
from accounts.models.keys import CALL_SCOPES, Scope
from models_registry.models import AiModel
from models_registry.writes.grants import grant_model
from portal.lib.clock import days_ahead
from portal.lib.validation_text import validation_text


class Command(BaseCommand):
    help = "Grant a model to a team, or to one of its service accounts alone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model")
        parser.add_argument("team", help="The team's slug.")
        parser.add_argument("--service-account", metavar="NAME")
        parser.add_argument(
            "--scope",
            action="append",
            choices=[scope.value for scope in CALL_SCOPES],
            required=True,
        )
        parser.add_argument(
            "--days", type=int, default=90, help="Until the grant ends. Default: 90."
        )
        parser.add_argument("--starts-in-days", type=int, help="Default: it begins at once.")
        parser.add_argument("--requests-per-minute", type=int, help="Shared by all keys.")
        parser.add_argument("--tokens-per-minute", type=int, help="Shared by all keys.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            team = Team.objects.get(slug=options["team"])
            to: Team | ServiceAccount = team
            if options["service_account"]:
                to = ServiceAccount.objects.get(team=team, name=options["service_account"])
            grant = grant_model(
                AiModel.objects.get(name=options["model"]),
                to=to,
                scopes=[Scope(scope) for scope in options["scope"]],
                starts_at=_starts_at(options["starts_in_days"]),
                ends_at=_days_ahead("--days", options["days"]),
                requests_per_minute=options["requests_per_minute"],
                tokens_per_minute=options["tokens_per_minute"],
                actor=COMMAND,
            )
        except (Team.DoesNotExist, ServiceAccount.DoesNotExist, AiModel.DoesNotExist) as error:
            raise CommandError(str(error)) from None
        except ValidationError as error:
            raise CommandError(validation_text(error)) from None
        begins = f"from {grant.starts_at:%Y-%m-%d} " if options["starts_in_days"] else ""
        self.stdout.write(
            f"{to} may call {options['model']} {begins}until {grant.ends_at:%Y-%m-%d}."
        )


def _starts_at(days: int | None) -> datetime.datetime | None:
    return None if days is None else _days_ahead("--starts-in-days", days)


def _days_ahead(option: str, days: int) -> datetime.datetime:
    """The moment so many days from now. Raises: CommandError naming the option."""
    try:
        return days_ahead(days)
    except ValueError as error:
        raise CommandError(f"{option}: {error}.") from None
