from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts.audit import COMMAND
from models_registry.models import Grant
from models_registry.writes.grants import end_grant
from portal.lib.clock import utc_now
from portal.lib.validation_text import validation_text


class Command(BaseCommand):
    help = "End what a team, or one of its service accounts alone, was granted of a model. Running calls are cut."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model")
        parser.add_argument("team", help="The team's slug.")
        parser.add_argument("--service-account", metavar="NAME")
        parser.add_argument("--reason", required=True)

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        of_model = Grant.objects.filter(model__name=options["model"], ends_at__gt=utc_now())
        if options["service_account"]:
            grants = of_model.filter(
                service_account__team__slug=options["team"],
                service_account__name=options["service_account"],
            )
        else:
            grants = of_model.filter(team__slug=options["team"])
        found = list(grants)
        if not found:
            raise CommandError("They have no grant of this model that has not ended.")
        try:
            for grant in found:
                end_grant(grant, actor=COMMAND, reason=options["reason"])
        except ValidationError as error:
            raise CommandError(validation_text(error)) from None
        self.stdout.write(f"Grants ended: {len(found)}.")
