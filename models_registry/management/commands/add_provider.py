import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts.audit import COMMAND
from models_registry.discovery import ProviderSilent, list_upstream_models
from models_registry.writes.providers import add_provider
from portal.lib.validation_text import validation_text


class Command(BaseCommand):
    help = "Register an OpenAI-compatible server (vLLM, Ollama, llama.cpp, TGI, a cloud) and list the models it has."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("base_url", help="Such as http://10.0.0.5:8000/v1")
        parser.add_argument(
            "--key-from",
            metavar="ENV|FILE",
            help="The environment variable, or the file, that holds the provider's key.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        credential = read_credential(options["key_from"])
        try:
            # The row first: an address that would be refused is not connected to, and gets no credential.
            with transaction.atomic():
                provider = add_provider(
                    options["name"],
                    base_url=options["base_url"],
                    credential=credential,
                    actor=COMMAND,
                )
                models = list_upstream_models(
                    provider.base_url,
                    credential=credential,
                    networks=settings.LATCHKEY_PROVIDER_NETWORKS,
                )
        except ProviderSilent as silent:
            raise CommandError(f"The provider was not added: {silent}.") from None
        except ValidationError as error:
            raise CommandError(validation_text(error)) from None
        self.stdout.write(f"Provider {provider.name} is there. It serves:")
        for model in models:
            self.stdout.write(f"  {model}")


def read_credential(source: str | None) -> str:
    """Read the key from an environment variable or a file; never from the command line, which others can read."""
    if source is None:
        return ""
    # What was given is not repeated: it may be the key itself.
    try:
        credential = os.environ.get(source) or Path(source).read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise CommandError(
            "--key-from names neither a set environment variable nor a readable file."
        ) from None
    if not credential.strip():
        raise CommandError("What --key-from names is set, but blank.")
    return credential.strip()
