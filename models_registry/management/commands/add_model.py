import argparse
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts.audit import COMMAND
from accounts.models import Team
from models_registry.models import (
    DataClass,
    HangUp,
    ModelKind,
    ModelStatus,
    OutputCapMember,
    Provider,
    Visibility,
)
from models_registry.writes.catalogue import add_model, deploy_model, set_model_status
from portal.lib.validation_text import validation_text


class Command(BaseCommand):
    help = "Add a model, say which provider serves it, and publish it unless --draft."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="The name callers use.")
        parser.add_argument("--kind", choices=ModelKind.values, required=True)
        parser.add_argument("--provider", required=True)
        parser.add_argument(
            "--upstream-name", help="The provider's name for it. Default: the same."
        )
        parser.add_argument("--context", type=int, required=True, help="Tokens.")
        parser.add_argument(
            "--max-output", type=int, default=0, help="Tokens; chat models need it."
        )
        parser.add_argument(
            "--data-class", choices=DataClass.values, default=DataClass.INTERNAL.value
        )
        parser.add_argument("--hang-up", choices=HangUp.values, default=HangUp.CLOSE.value)
        parser.add_argument(
            "--output-cap-member",
            choices=OutputCapMember.values,
            default=OutputCapMember.MAX_TOKENS.value,
        )
        parser.add_argument("--accept-member", action="append", default=[], metavar="NAME")
        for side in ("input", "cached-input", "output"):
            parser.add_argument(
                f"--price-{side}", type=_micro_usd, default=0, help="USD per million tokens."
            )
        for side, else_as in (
            ("reasoning", "output"),
            ("audio-input", "input"),
            ("audio-output", "output"),
        ):
            parser.add_argument(
                f"--price-{side}",
                type=_micro_usd,
                help=f"USD per million tokens. Default: as {else_as}.",
            )
        parser.add_argument("--description", default="")
        parser.add_argument("--owner", metavar="TEAM", help="The slug of the team that owns it.")
        parser.add_argument(
            "--visibility", choices=Visibility.values, default=Visibility.EVERYONE.value
        )
        parser.add_argument("--draft", action="store_true")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            model = add_model(
                options["name"],
                kind=ModelKind(options["kind"]),
                actor=COMMAND,
                context_tokens=options["context"],
                max_output_tokens=options["max_output"],
                data_class=options["data_class"],
                hang_up=options["hang_up"],
                output_cap_member=options["output_cap_member"],
                extra_members=options["accept_member"],
                price_input=options["price_input"],
                price_cached_input=options["price_cached_input"],
                price_output=options["price_output"],
                price_reasoning=options["price_reasoning"],
                price_audio_input=options["price_audio_input"],
                price_audio_output=options["price_audio_output"],
                description=options["description"],
                owner=Team.objects.get(slug=options["owner"]) if options["owner"] else None,
                visibility=options["visibility"],
            )
            provider = Provider.objects.get(name=options["provider"])
            deploy_model(
                model,
                provider=provider,
                upstream_name=options["upstream_name"] or model.name,
                actor=COMMAND,
            )
            if not options["draft"]:
                set_model_status(model, status=ModelStatus.PUBLISHED, actor=COMMAND)
        except Team.DoesNotExist:
            raise CommandError("--owner: no team has this slug.") from None
        except Provider.DoesNotExist:
            raise CommandError("No provider has this name. Add it with add_provider.") from None
        except ValidationError as error:
            raise CommandError(validation_text(error)) from None
        self.stdout.write(
            f"Model {model.name} is there{', as a draft' if options['draft'] else ''}."
        )


def _micro_usd(text: str) -> int:
    """USD per million tokens as whole micro-USD."""
    try:
        value = Decimal(text) * 1_000_000
    except InvalidOperation:
        raise argparse.ArgumentTypeError("it is not a number") from None
    if not value.is_finite() or value < 0 or value != value.to_integral_value():
        raise argparse.ArgumentTypeError("it is not a price of whole micro-USD")
    return int(value)
