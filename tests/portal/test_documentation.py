"""Every setting, error code and audit tag is explained, and as the code has it; a failure names the line."""

import re
from collections.abc import Iterable

import pytest

from accounts.models.audit import AuditTag
from portal.lib.env import Setting
from portal.settings import env
from proxy.errors import Code
from tests.services import ROOT

ROW = re.compile(r"^\| `([\w.]+)` \| ([^|]+?) \|", re.MULTILINE)


def rows_of(page: str) -> dict[str, str]:
    """The second cell of each row that explains a name; no name may have two rows."""
    rows = ROW.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))
    assert len(dict(rows)) == len(rows)
    return dict(rows)


def default_of(setting: Setting) -> str:
    """How a table names the setting's default."""
    if setting.required:
        return "required"
    return f"`{setting.default}`" if setting.default else "empty"


def setting_lines() -> Iterable[tuple[str, str]]:
    for setting in env.declared.values():
        yield setting.name, f"| `{setting.name}` | {default_of(setting)} | {setting.accepts} |"


def error_lines() -> Iterable[tuple[str, str]]:
    for code in Code:
        yield code.code, f"| `{code.code}` | {code.http_status} | {code.text} |"


def audit_lines() -> Iterable[tuple[str, str]]:
    for tag in AuditTag:
        yield tag.value, f"| `{tag.value}` | when … | facts: … |"


@pytest.mark.parametrize(
    ("page", "lines"),
    [("settings.md", setting_lines), ("errors.md", error_lines), ("audit.md", audit_lines)],
)
def test_everything_is_explained(page: str, lines: object) -> None:
    assert callable(lines)
    file = ROOT / "docs" / page
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    missing = [line for name, line in lines() if f"`{name}`" not in text]
    assert not missing, f"Add to docs/{page}:\n" + "\n".join(missing)


def test_each_setting_is_explained_with_its_own_default() -> None:
    told = rows_of("settings.md")
    # One URL stands in for another, and a URL may hold a password: its default has no text of its own.
    assert told.pop("LATCHKEY_DATABASE_LISTEN_URL") == "the value of `LATCHKEY_DATABASE_URL`"
    declared = {setting.name: default_of(setting) for setting in env.declared.values()}
    assert told == {name: declared[name] for name in declared if name in told}
    assert declared.keys() - told.keys() == {"LATCHKEY_DATABASE_LISTEN_URL"}


def test_each_error_is_explained_with_its_own_status() -> None:
    told = rows_of("errors.md")
    assert told == {code.code: str(code.http_status) for code in Code}
