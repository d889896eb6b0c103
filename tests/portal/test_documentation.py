"""Every setting, error code and audit tag is explained; a failure names the line to add."""

from collections.abc import Iterable

import pytest

from accounts.models.audit import AuditTag
from portal.settings import env
from proxy.errors import Code
from tests.services import ROOT


def setting_lines() -> Iterable[tuple[str, str]]:
    for setting in env.declared.values():
        default = f"`{setting.default}`" if setting.default else "required"
        yield setting.name, f"| `{setting.name}` | {default} | {setting.accepts} |"


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
