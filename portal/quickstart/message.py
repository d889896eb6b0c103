"""What `make run` prints and writes when everything answers."""

import json
from pathlib import Path
from typing import Any

from portal.embedded.private_files import write_private

PUBLISHED = ("admin", "member", "api_key", "models")


def write_facts(path: Path, *, base_url: str, seeded: dict[str, Any]) -> None:
    """Write the facts of the running portal, mode 0600, whole or not at all."""
    facts = {"base_url": base_url} | {name: seeded[name] for name in PUBLISHED}
    write_private(path, json.dumps(facts, indent=2) + "\n")


def compose_message(*, base_url: str, seeded: dict[str, Any], facts_path: Path) -> str:
    """Compose the lines that tell a person how to sign in and how to make the first call."""
    admin, member = seeded["admin"], seeded["member"]
    body = json.dumps(
        {
            "model": seeded["models"]["chat"],
            "messages": [{"role": "user", "content": "Say hello."}],
        }
    )
    return f"""
Latchkey runs at {base_url}

  Administrator   {admin["email"]}   {admin["password"]}
  Member          {member["email"]}   {member["password"]}

The models come from a demonstration upstream on this machine; its answers are made up. A call:

curl {base_url}/v1/chat/completions -H 'Authorization: Bearer {seeded["api_key"]}' \
-H 'Content-Type: application/json' -d '{body}'

The same facts, for programs: {facts_path}
Ctrl-C stops everything; the data stay in {facts_path.parent}.
"""
