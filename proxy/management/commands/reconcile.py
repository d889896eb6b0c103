import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from models_registry.models import Provider
from proxy.usage.csv_export import safe_cell
from proxy.usage.provider_export import NAMES, Unreadable, read_export
from proxy.usage.reconciliation import Difference, reconcile


class Command(BaseCommand):
    help = (
        "Compare the ledger with a provider's usage export, by day in UTC and model. Lists the differences; exits 1 where"
        " there are any, and 2 where the file cannot be read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("provider", help="The provider's name.")
        parser.add_argument("file", help="The export, a CSV with a head, in UTF-8.")
        parser.add_argument(
            "--column",
            action="append",
            default=[],
            type=_pair,
            metavar="WHAT=NAME",
            help=f"What a column is, where its name is not known. WHAT is one of {', '.join(NAMES)}.",
        )
        parser.add_argument(
            "--model",
            action="append",
            default=[],
            type=_pair,
            metavar="THEIRS=OURS",
            help="The name at the provider of a model that the export calls otherwise.",
        )
        parser.add_argument(
            "--tolerance",
            type=_percent,
            default=0.0,
            metavar="PERCENT",
            help="A smaller difference of a figure is none. Default: 0.",
        )
        parser.add_argument(
            "--input-excludes-cached",
            action="store_true",
            help="The export counts cached input beside its input, not in it.",
        )
        parser.add_argument("--json", action="store_true", help="Write one JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        columns = dict(options["column"])
        if unknown := sorted(columns.keys() - NAMES.keys()):
            raise CommandError(f"--column {unknown[0]}: it is one of {', '.join(NAMES)}.")
        provider = Provider.objects.filter(name=options["provider"]).first()
        if provider is None:
            raise CommandError("No provider has this name.", returncode=2)
        try:
            with Path(options["file"]).open("rb") as file:
                export = read_export(
                    file, columns, input_excludes_cached=options["input_excludes_cached"]
                )
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}.", returncode=2) from None
        except Unreadable as error:
            raise CommandError(str(error), returncode=2) from None
        compared, differences = reconcile(
            provider,
            export,
            names=dict(options["model"]),
            tolerance_percent=options["tolerance"],
        )
        tell = self._tell_json if options["json"] else self._tell
        tell(compared, differences)
        if differences:
            raise CommandError(f"{len(differences)} of {compared} figures differ.", returncode=1)

    def _tell(self, compared: int, differences: Sequence[Difference]) -> None:
        for one in differences:
            apart = one.ledger - one.provider
            self.stdout.write(
                f"{one.day} {_shown(one.model)} {one.figure}: provider {one.provider},"
                f" ledger {one.ledger}, {apart:+}"
            )
        if not differences:
            self.stdout.write(f"All of {compared} figures agree.")

    def _tell_json(self, compared: int, differences: Sequence[Difference]) -> None:
        told = [one._asdict() | {"day": str(one.day)} for one in differences]
        self.stdout.write(json.dumps({"compared": compared, "differences": told}))


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign and value):
        raise argparse.ArgumentTypeError("it is written as A=B")
    return name, value


def _percent(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError("it is 0 to 100")
    return value


def _shown(name: str) -> str:
    """A name out of the file as one word of a line: nothing in it moves a terminal or is a formula to a spreadsheet."""
    return safe_cell("".join(one if one.isprintable() else "?" for one in name))
