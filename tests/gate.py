"""The gate suite as docs/gate.md lists it: which tests belong to it, by the number of what they hold."""

import re
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "gate.md"
_ROW = re.compile(r"^\| (T\d+) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)


def rows() -> dict[str, list[str]]:
    """Each number with the files that it names."""
    text = PAGE.read_text(encoding="utf-8")
    return {number: re.findall(r"`(tests/[\w/.]+)`", cell) for number, cell in _ROW.findall(text)}


def numbers_by_file() -> dict[str, list[str]]:
    """The other way round."""
    found: dict[str, list[str]] = {}
    for number, files in rows().items():
        for file in files:
            found.setdefault(file, []).append(number)
    return found
