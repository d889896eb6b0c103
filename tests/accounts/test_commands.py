"""Every command: what it does and what it refuses, from one set-up; no secret but the one key it issues."""

import io
import json
import sys

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class

from accounts.credential import read_credential
from accounts.models import ApiKey, AuditEntry, Team, User
from accounts.models.audit import ActorKind
from accounts.models.teams import Role
from tests.accounts.rows import (
    PASSWORD,
    REASON,
    new_account,
    new_key,
    new_member,
    new_name,
    new_person,
    new_team,
)
from tests.child import run_python
from tests.proxy.loading import loaded

pytestmark = pytest.mark.django_db
OURS = ("accounts", "models_registry", "portal", "proxy")


def run(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def refuse(*arguments: str) -> str:
    with pytest.raises(CommandError) as refused:
        run(*arguments)
    return str(refused.value)


def test_no_command_takes_a_secret_as_an_argument() -> None:
    for name, app in get_commands().items():
        if str(app).partition(".")[0] in OURS:
            parser = load_command_class(str(app), name).create_parser("manage.py", name)
            options = {option for action in parser._actions for option in action.option_strings}
            assert not options & {"--password", "--key", "--secret", "--token", "--credential"}


@pytest.fixture
def password_on_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\r\nanything else\n"))


def test_administrator_is_made_and_the_address_taken(password_on_stdin: None) -> None:
    email = f"{new_name('admin')}@latchkey.test"
    out, err = run("create_admin", email, "--password-stdin")
    person = User.objects.get(email=email)
    assert person.is_superuser
    assert person.check_password(PASSWORD)
    assert PASSWORD not in out + err
    assert AuditEntry.objects.get(subject_id=person.pk).actor_kind == ActorKind.COMMAND
    sys.stdin.seek(0)
    assert "email: " in refuse("create_admin", email, "--password-stdin")


@pytest.mark.parametrize("given", ["", "\n", "short\n"])
def test_administrator_without_a_strong_password_is_refused(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(given))
    assert "15 characters" in refuse("create_admin", "a@latchkey.test", "--password-stdin")
    assert not User.objects.filter(email="a@latchkey.test").exists()


def test_administrator_is_refused_where_nobody_can_be_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(PASSWORD))
    assert "--password-stdin" in refuse("create_admin", "a@latchkey.test")


@pytest.mark.parametrize(
    "arguments",
    [
        ["createsuperuser", "--noinput", "--email", "b@latchkey.test"],
        ["createsuperuser"],
        ["changepassword", "{person}"],
    ],
)
def test_commands_that_would_set_a_password_without_a_trace_are_refused(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    person = new_person()
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "weak")
    monkeypatch.setattr("getpass.getpass", lambda *_: PASSWORD * 2)
    entries = AuditEntry.objects.count()
    assert "create_admin" in refuse(*(one.format(person=person.email) for one in arguments))
    person.refresh_from_db()
    assert person.check_password(PASSWORD)
    assert not User.objects.filter(email="b@latchkey.test").exists()
    assert AuditEntry.objects.count() == entries


def test_team_is_made_with_its_accounts_and_members() -> None:
    name, person = new_name("team"), new_person()
    member = f"{person.email.upper()}:manager"
    run("create_team", name, "--service-account", "app", "--member", member, "--cost-centre", "7")
    team = Team.objects.get(name=name)
    assert team.memberships.get().role == Role.MANAGER
    assert team.service_accounts.get().name == "app"
    assert team.cost_centre == "7"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--member", "nobody@latchkey.test:member"], "Nobody has the address"),
        (["--member", "{person}:king"], "is not EMAIL:ROLE"),
        (["--member", "{person}"], "Nobody has the address|is not EMAIL:ROLE"),
        (["--member", "{person}:member", "--member", "{person}:owner"], "already exists"),
        (["--service-account", ""], "name: "),
        (["--service-account", "a", "--service-account", "a"], "already exists"),
    ],
)
def test_refused_team_leaves_nothing(arguments: list[str], told: str) -> None:
    name, person = new_name("team"), new_person()
    text = refuse("create_team", name, *(one.format(person=person.email) for one in arguments))
    assert any(part in text for part in told.split("|"))
    assert not Team.objects.filter(name=name).exists()


def test_issued_key_alone_stands_on_standard_output() -> None:
    account = new_account()
    out, err = run(
        "issue_key", account.team.slug, "--service-account", account.name, "--name", "First",
        "--scope", "chat", "--days", "7", "--network", "10.0.0.0/8", "--requests-per-minute", "5",
    )  # fmt: skip
    credential = read_credential(out.strip())
    assert credential is not None
    key = ApiKey.objects.get(public_id=credential.public_id)
    assert (key.service_account, key.networks, key.requests_per_minute) == (
        account,
        ["10.0.0.0/8"],
        5,
    )
    assert credential.text.rpartition("_")[2] not in err
    assert account.team.slug in err


def test_key_is_issued_to_a_member() -> None:
    team = new_team()
    member = new_member(team)
    arguments = ["issue_key", team.slug, "--name", "Mine", "--scope", "chat", "--person"]
    run(*arguments, member.email.upper())
    assert team.keys.get().person == member
    assert "holder: " in refuse(*arguments, new_person().email)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["--days", "0"], "expires_at: "),
        (["--days", "-5"], "expires_at: "),
        (["--days", "999999999999"], "--days: "),
        (["--days", "soon"], "--days"),
        (["--network", "corp"], "networks: "),
        (["--requests-per-minute", "0"], "requests_per_minute: "),
        (["--scope", "images"], "--scope"),
        (["--person", "a@latchkey.test"], "not allowed with"),
        (["--name", ""], "name: "),
    ],
)
def test_refused_key_is_not_issued(changes: list[str], told: str) -> None:
    account = new_account()
    base = ["issue_key", account.team.slug, "--service-account", account.name]
    base += ["--name", "First", "--scope", "chat"]
    assert told in refuse(*base, *changes)
    assert account.keys.count() == 0
    run(*base)


@pytest.mark.parametrize("spoil", ["team", "account"])
def test_key_of_nobody_is_refused(spoil: str) -> None:
    account = new_account()
    slug = "nobody" if spoil == "team" else account.team.slug
    name = "nobody" if spoil == "account" else account.name
    text = refuse("issue_key", slug, "--service-account", name, "--name", "x", "--scope", "chat")
    assert "does not exist" in text or "matching query" in text


def test_key_is_revoked_by_its_public_id() -> None:
    key = new_key().key
    assert "No key" in refuse("revoke_key", "unknown", "--reason", REASON)
    assert "reason: " in refuse("revoke_key", key.public_id, "--reason", " ")
    assert "--reason" in refuse("revoke_key", key.public_id)
    run("revoke_key", key.public_id, "--reason", REASON)
    key.refresh_from_db()
    assert key.revoked_reason == REASON


def test_refusal_in_a_terminal_is_one_line_and_no_traceback() -> None:
    ended = run_python("manage.py", "create_admin", "nobody", "--password-stdin", stdin="short\n")
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    assert json.dumps(ended.stdout) == '""'


def test_member_is_removed_and_the_key_with_it() -> None:
    team = new_team()
    member = new_member(team)
    run("issue_key", team.slug, "--name", "Mine", "--scope", "chat", "--person", member.email)
    out, _ = run("remove_member", team.slug, member.email.upper())
    assert team.slug in out
    assert not team.memberships.exists()
    assert team.keys.get().revoked_at is not None
    for slug, email in ((team.slug, member.email), ("nobody", member.email), (team.slug, "")):
        assert "member with this address" in refuse("remove_member", slug, email)


def test_key_is_rotated_by_its_public_id_and_its_new_secret_alone_is_printed() -> None:
    issued = new_key()
    assert "No key" in refuse("rotate_key", "unknown")
    for hours in ("-1", "721", "99999999999"):
        assert "overlap" in refuse("rotate_key", issued.key.public_id, "--overlap-hours", hours)
    out, told = run("rotate_key", issued.key.public_id, "--overlap-hours", "1")
    assert read_credential(out.strip()) is not None
    assert out.strip() not in told
    assert "works until" in told
    assert "old secret works until" in refuse("rotate_key", issued.key.public_id)
    again, _ = run("rotate_key", issued.key.public_id, "--new-was-lost")
    assert [bool(loaded(text)) for text in (issued.text, out.strip(), again.strip())] == [
        True,
        False,
        True,
    ]
