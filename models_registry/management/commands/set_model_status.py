from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import COMMAND
from models_registry.models import AiModel, ModelStatus
from models_registry.writes.catalogue import set_model_status
from portal.lib.clock import days_ahead
from portal.lib.validation_text import validation_text


class Command(BaseCommand):
    help = "Publish, deprecate or retire a model. A retired one cannot come back."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model")
        parser.add_argument("status", choices=ModelStatus.values)
        parser.add_argument(
            "--sunset-days", type=int, help="Days until a deprecated model stops answering."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        days = options["sunset_days"]
        try:
            set_model_status(
                AiModel.objects.get(name=options["model"]),
                status=ModelStatus(options["status"]),
                sunset_at=None if days is None else days_ahead(days),
                actor=COMMAND,
            )
        except AiModel.DoesNotExist:
            raise CommandError("No model has this name.") from None
        except ValidationError as error:
            raise CommandError(validation_text(error)) from None
        except ValueError as error:
            raise CommandError(f"--sunset-days: {error}.") from None
        self.stdout.write(f"Model {options['model']} is {options['status']}.")
