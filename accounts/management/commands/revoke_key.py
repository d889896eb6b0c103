from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import COMMAND
from accounts.models import ApiKey
from accounts.writes.keys import revoke_key
from portal.lib.validation_text import validation_text


class Command(BaseCommand):
    help = "Revoke an API key by its public id, the part between lk_ and the next _."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("public_id")
        parser.add_argument("--reason", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        key = ApiKey.objects.filter(public_id=options["public_id"]).first()
        if key is None:
            raise CommandError("No key has this public id.")
        try:
            revoke_key(key, actor=COMMAND, reason=options["reason"])
        except ValidationError as error:
            raise CommandError(validation_text(error)) from None
        self.stdout.write(f"{key} is revoked.")
