from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEntry, TrustedIssuer
from accounts.models.audit import ActorKind, AuditTag
from tests.accounts.rows import new_name
from tests.accounts.workload.issuing import AUDIENCE, PUBLISHED

pytestmark = pytest.mark.django_db


def add(*more: str, file: Path, issuer: str = "https://issuer.test") -> str:
    out = StringIO()
    call_command("add_issuer", new_name("issuer"), issuer, f"--jwks-file={file}", *more, stdout=out)
    return out.getvalue()


def test_command_trusts_an_issuer_whose_keys_are_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(PUBLISHED)
    assert "with 3 keys" in add(f"--audience={AUDIENCE}", "--administrators-only", file=file)
    made = TrustedIssuer.objects.latest("created_at")
    assert made.audiences == [AUDIENCE]
    assert made.algorithms == ["RS256", "ES256"]
    assert not made.is_open_to_teams
    entry = AuditEntry.objects.get(tag=AuditTag.ISSUER_ADDED, subject_id=made.pk)
    assert entry.actor_kind == ActorKind.COMMAND


@pytest.mark.parametrize(
    ("content", "issuer", "fault"),
    [
        ("{}", "https://issuer.test", "keys"),
        (PUBLISHED, "http://issuer.test", "issuer"),
        (PUBLISHED, "issuer.test", "issuer"),
        (PUBLISHED, "spiffe://corp.example/reader", "issuer"),
    ],
)
def test_command_says_what_is_wrong_and_adds_nothing(
    tmp_path: Path, content: str, issuer: str, fault: str
) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(content)
    before = TrustedIssuer.objects.count()
    with pytest.raises(CommandError, match=fault):
        add(f"--audience={AUDIENCE}", file=file, issuer=issuer)
    assert TrustedIssuer.objects.count() == before
