"""The list of the gate suite is whole, and leads to tests that pytest runs under its marker."""

import re

import pytest

from tests.gate import numbers_by_file, rows
from tests.services import ROOT

# Numbers whose subject is not served yet; the page says so in place of a file.
NOT_YET: set[str] = set()


def test_every_threat_has_its_row_and_every_row_leads_to_tests() -> None:
    told = rows()
    assert list(told) == [f"T{number}" for number in range(1, 24)]
    assert {number for number, files in told.items() if not files} == NOT_YET
    for file in numbers_by_file():
        text = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(r"^(async )?def test_", text, re.MULTILINE), file


def test_file_that_names_a_threat_stands_in_the_list(request: pytest.FixtureRequest) -> None:
    listed = numbers_by_file()
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        head = path.read_text(encoding="utf-8").partition('"""\n')[0][:400]
        named = set(re.findall(r"\bT\d{1,2}\b", head))
        file = str(path.relative_to(ROOT))
        assert named <= set(listed.get(file, [])), f"add {file} to docs/gate.md: {named}"


def test_marker_is_on_the_listed_tests_and_on_no_others(request: pytest.FixtureRequest) -> None:
    listed = numbers_by_file()
    for item in request.session.items:
        file = str(item.path.relative_to(ROOT))
        marked = [mark.args for mark in item.iter_markers("gate")]
        assert marked == ([tuple(listed[file])] if file in listed else []), item.nodeid
