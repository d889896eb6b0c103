"""The keys that calls are made with in turns, where one key would not be the many that a proof is about."""

from pathlib import Path

from bench.administrator import Administrator
from bench.stack import Stack

CALLING_KEYS = 100


def make_calling_keys(folder: Path, stack: Stack, administrator: Administrator) -> Path:
    """Issue a hundred keys like the stack's own; return the file that holds them, one a line."""
    keys = administrator.ask("make_calling_keys", like=stack.api_key, count=CALLING_KEYS)
    path = folder / "calling-keys"
    path.touch(mode=0o600)
    path.write_text("\n".join(keys) + "\n")
    return path
