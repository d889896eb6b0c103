import uuid
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import COMMAND
from accounts.models import Proposal
from accounts.writes.proposals import confirm_proposal
from portal.lib.validation_text import validation_text


class Command(BaseCommand):
    help = "Confirm a proposal where nobody else can: whoever runs this on the host stands for the second person."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("proposal", type=uuid.UUID)

    def handle(self, *args: Any, **options: Any) -> None:
        found = Proposal.objects.filter(pk=options["proposal"]).first()
        if found is None:
            raise CommandError("There is no such proposal. Its id stands on its page in the admin.")
        try:
            confirm_proposal(found, actor=COMMAND)
        except ValidationError as error:
            raise CommandError(validation_text(error)) from None
        except PermissionDenied as error:
            raise CommandError(str(error) or "Whoever proposed this may not do it.") from None
        self.stdout.write(f"Confirmed and done: {found.get_action_display()}.")
