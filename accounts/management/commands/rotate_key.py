import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import COMMAND
from accounts.models import ApiKey
from accounts.writes.key_rotation import OVERLAP, OVERLAP_MAX, rotate_key
from portal.lib.validation_text import validation_text


class Command(BaseCommand):
    help = (
        "Give an API key a new secret. The key with it alone is printed on standard output, once; "
        "the old secret works beside it for the overlap."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("public_id", help="The part of the key between lk_ and the next _.")
        parser.add_argument(
            "--overlap-hours",
            type=int,
            default=OVERLAP.days * 24,
            help=f"At most {OVERLAP_MAX.days * 24}. Default: {OVERLAP.days * 24}.",
        )
        parser.add_argument(
            "--new-was-lost",
            action="store_true",
            help="Replace the new secret of a rotation whose overlap runs; the old one stays.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        key = ApiKey.objects.filter(public_id=options["public_id"]).first()
        if key is None:
            raise CommandError("No key has this public id.")
        try:
            rotated = rotate_key(
                key,
                overlap=datetime.timedelta(hours=options["overlap_hours"]),
                actor=COMMAND,
                new_was_lost=options["new_was_lost"],
            )
        except ValidationError as error:
            raise CommandError(validation_text(error)) from None
        except OverflowError:
            raise CommandError("--overlap-hours: no calendar holds that many.") from None
        self.stderr.write(
            f"The old secret of {rotated.key} works until {rotated.key.previous_ends_at:%Y-%m-%d %H:%M} UTC."
        )
        self.stdout.write(rotated.text)
