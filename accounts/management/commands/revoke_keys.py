from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import COMMAND
from accounts.models import Team, User
from accounts.writes.key_selections import KeySelection, preview_selection, revoke_selection
from portal.lib.validation_text import validation_text


class Command(BaseCommand):
    help = (
        "Revoke many keys at once. Without --confirm it lists which are hit, and the text that confirms exactly these. "
        "What is named has to hold all together."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--team", help="The team's slug.")
        parser.add_argument("--person", help="The e-mail address of whoever holds them.")
        parser.add_argument(
            "--issued-too", action="store_true", help="And those that the person issued for others."
        )
        parser.add_argument(
            "--network", default="", help="Used from this address or CIDR in the last week."
        )
        parser.add_argument(
            "--leaked", action="store_true", help="Those found where others can read them."
        )
        parser.add_argument("--confirm", help="What the list ended with.")
        parser.add_argument("--reason", help="Needed with --confirm.")

    def handle(self, *args: Any, **options: Any) -> None:
        selection = KeySelection(
            team=_row(Team, "slug", options["team"], "team"),
            person=_row(User, "email__iexact", options["person"], "person"),
            issued_too=options["issued_too"],
            network=options["network"],
            leaked=options["leaked"],
        )
        try:
            if options["confirm"] is None:
                self._show(selection)
            else:
                self._revoke(selection, options["confirm"], options["reason"] or "")
        except ValidationError as error:
            raise CommandError(validation_text(error)) from None

    def _show(self, selection: KeySelection) -> None:
        preview = preview_selection(selection)
        for key in preview.keys:
            self.stdout.write(
                f"{key} {key.team.slug} {key.person or key.service_account}: {key.name}"
            )
        more = " There are more, which another round hits." if preview.is_cut else ""
        self.stdout.write(f"{len(preview.keys)} keys are hit.{more}")
        self.stdout.write(f"Revoke them with --confirm {preview.fingerprint} --reason TEXT")

    def _revoke(self, selection: KeySelection, fingerprint: str, reason: str) -> None:
        done = revoke_selection(selection, fingerprint=fingerprint, actor=COMMAND, reason=reason)
        more = " There are more: list and revoke again." if done.is_cut else ""
        self.stdout.write(f"{done.count} keys are revoked.{more}")


def _row(model: type[Any], field: str, value: str | None, kind: str) -> Any:
    if value is None:
        return None
    found = model.objects.filter(**{field: value}).first()
    if found is None:
        raise CommandError(f"No {kind} is called this.")
    return found
