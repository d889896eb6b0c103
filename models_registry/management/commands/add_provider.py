import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import COMMAND
from models_registry.discovery import ProviderSilent, list_upstream_models
from models_registry.writes.providers import add_provider


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
            models = list_upstream_models(
                options["base_url"],
                credential=credential,
                networks=settings.LATCHKEY_PROVIDER_NETWORKS,
            )
            provider = add_provider(
                options["name"],
                base_url=options["base_url"],
                credential=credential,
                actor=COMMAND,
            )
        except ProviderSilent as silent:
            raise CommandError(f"The provider was not added: {silent}.") from None
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        self.stdout.write(f"Provider {provider.name} is there. It serves:")
        for model in models:
            self.stdout.write(f"  {model}")


def read_credential(source: str | None) -> str:
    """Read the key from an environment variable or a file; never from the command line, which others can read."""
    if source is None:
        return ""
    if source in os.environ:
        return os.environ[source].strip()
    try:
        return Path(source).read_text(encoding="utf-8").strip()
    except OSError:
        raise CommandError(
            f"--key-from {source!r} names neither a set environment variable nor a readable file."
        ) from None
