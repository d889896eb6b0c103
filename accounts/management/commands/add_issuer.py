from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import COMMAND
from accounts.models.workload import KeySource, SigningAlgorithm
from accounts.writes.issuers import DEFAULT_ALGORITHMS, add_issuer, find_keys
from portal.lib.validation_text import validation_text


class Command(BaseCommand):
    help = (
        "Trust an issuer of workloads' tokens (Kubernetes, GitHub or GitLab CI, a cloud, SPIFFE, any OIDC issuer). "
        "Teams then say by rules what its tokens are worth."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("issuer", help="The `iss` of its tokens, to the letter.")
        parser.add_argument(
            "--audience",
            action="append",
            required=True,
            help="What tokens for this portal name as `aud`; may be given several times.",
        )
        keys = parser.add_mutually_exclusive_group()
        keys.add_argument("--jwks-url", default="", help="Without it the issuer is discovered.")
        keys.add_argument("--jwks-file", type=Path, help="Keys that were brought by hand.")
        parser.add_argument("--ca-file", type=Path, help="PEM of the authority of its address.")
        parser.add_argument(
            "--algorithm", action="append", choices=SigningAlgorithm.values, default=None
        )
        parser.add_argument("--max-age", type=int, default=3600, metavar="SECONDS")
        parser.add_argument(
            "--administrators-only", action="store_true", help="Teams make no rules for it."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        source = KeySource.DISCOVERY
        if options["jwks_url"]:
            source = KeySource.JWKS_URL
        elif options["jwks_file"]:
            source = KeySource.PASTED
        place = {
            "key_source": source,
            "jwks_url": options["jwks_url"],
            "certificate_authority": _text_of(options["ca_file"]),
        }
        try:
            keys = find_keys(options["issuer"], pasted_keys=_text_of(options["jwks_file"]), **place)
            made = add_issuer(
                options["name"],
                issuer=options["issuer"],
                keys=keys,
                audiences=options["audience"],
                algorithms=options["algorithm"] or DEFAULT_ALGORITHMS,
                max_token_age_s=options["max_age"],
                is_open_to_teams=not options["administrators_only"],
                actor=COMMAND,
                **place,
            )
        except ValidationError as error:
            raise CommandError(f"The issuer was not added: {validation_text(error)}") from None
        self.stdout.write(f"Issuer {made.name} is trusted, with {len(keys)} keys.")


def _text_of(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise CommandError(f"{path} is no file of text that can be read.") from None
