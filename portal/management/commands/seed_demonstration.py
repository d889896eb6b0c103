import json
import os
import secrets
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from portal.quickstart.seed import follow_upstream, seed


class Command(BaseCommand):
    help = "Fill an empty database with a demonstration, or point an existing one at its upstream. `make run` calls it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--facts",
            type=Path,
            required=True,
            help="Where sign-ins and the key are kept, mode 0600.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        url = os.environ.get("LATCHKEY_DEMO_UPSTREAM_URL", "")
        credential = os.environ.get("DEMO_UPSTREAM_KEY", "")
        if not url or not credential:
            raise CommandError("LATCHKEY_DEMO_UPSTREAM_URL and DEMO_UPSTREAM_KEY are needed.")
        with transaction.atomic():
            facts = follow_upstream(url, credential, kept=_read(options["facts"]))
            if facts is None:
                facts = seed(url, credential)
                # Written before the commit: a crash in between leaves facts without rows, which the next start replaces.
                _write(options["facts"], facts)
        # Standard output may be a log: the sign-ins stand in the file alone.
        self.stdout.write(f"The demonstration is there. Its sign-ins are in {options['facts']}.")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None


def _write(path: Path, facts: dict[str, Any]) -> None:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(facts, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
