"""T15: with any secret empty, default or short, nothing starts, and the fault is named without its value."""

import os
import runpy
import secrets
import socket
import subprocess
import sys
import tempfile
import time

import psycopg
import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from psycopg import conninfo
from pytest_django.fixtures import Settings

from portal.checks import (
    base_url_is_encrypted,
    faults_of_role,
    refuse_to_boot,
    staff_need_a_second_factor,
)
from tests.child import run_python
from tests.services import ROOT, Services

RANDOM = secrets.token_urlsafe(64)
HEX = secrets.token_hex(32)
KEYS = ("LATCHKEY_KEY_PEPPERS", "LATCHKEY_SEALING_KEYS")
URLS = {
    "LATCHKEY_DATABASE_URL": "postgresql://app{}@h/d",
    "LATCHKEY_DATABASE_LISTEN_URL": "postgresql://app{}@h/d",
    "LATCHKEY_DATABASE_MIGRATOR_URL": "postgresql://owner{}@h/d",
    "LATCHKEY_BROKER_URL": "redis://{}@h/0",
    "LATCHKEY_CACHE_URL": "redis://{}@h/0",
    "LATCHKEY_LIMITS_URL": "redis://{}@h/0",
}
WEAK: dict[str, dict[str, str]] = {
    "empty": {
        "LATCHKEY_SECRET_KEY": "",
        **dict.fromkeys(KEYS, ""),
        **{name: form.format(":") for name, form in URLS.items()},
    },
    "default": {
        "LATCHKEY_SECRET_KEY": f"django-insecure-{RANDOM}",
        **dict.fromkeys(KEYS, f"k1:{'00' * 32}"),
        **{name: form.format(":changeme-changeme") for name, form in URLS.items()},
    },
    "short": {
        "LATCHKEY_SECRET_KEY": RANDOM[:49],
        **dict.fromkeys(KEYS, f"k1:{HEX[:62]}"),
        **{name: form.format(":hunter2hunt") for name, form in URLS.items()},
    },
}
FOLDER = tempfile.TemporaryDirectory(prefix="latchkey-boot-")
PROGRAMS = {
    "check": ["manage.py", "check"],
    "migrate": ["manage.py", "migrate", "--plan"],
    "server": ["-c", "import portal.asgi"],
    "worker": ["-m", "celery", "-A", "portal.celery", "worker", "--pool", "solo"],
    "beat": ["-m", "celery", "-A", "portal.celery", "beat", "--schedule", f"{FOLDER.name}/beat"],
}


ALONE = [
    pytest.param(name, value, id=f"{weakness} {name}")
    for weakness, values in WEAK.items()
    for name, value in values.items()
]
IN_TURN = dict(zip(PROGRAMS, ["empty", "default", "short", "empty", "short"], strict=True))


@pytest.mark.parametrize("program", PROGRAMS)
def test_weak_secrets_refuse_every_start(program: str) -> None:
    weak = WEAK[IN_TURN[program]]
    ended = run_python(*PROGRAMS[program], changes=weak)
    told = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert "ImproperlyConfigured" in told
    assert [name for name in weak if f"- {name}: " not in told] == []
    for value in (HEX[:62], RANDOM[:49], "hunter2hunt"):
        assert value not in told


@pytest.mark.parametrize(("name", "value"), ALONE)
def test_each_weak_secret_alone_is_a_fault_of_the_settings(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured) as refused:
        runpy.run_path(str(ROOT / "portal" / "settings.py"))
    assert str(refused.value).count("\n  - ") == 1
    assert f"- {name}: " in str(refused.value)


def test_unset_secrets_are_named() -> None:
    names = ["LATCHKEY_SECRET_KEY", *KEYS, "LATCHKEY_DATABASE_URL", "LATCHKEY_LIMITS_URL"]
    ended = run_python("manage.py", "check", changes=dict.fromkeys(names))
    assert ended.returncode != 0
    assert [name for name in names if f"- {name}: it is not set" not in ended.stderr] == []


SHARED_KEY = {"LATCHKEY_KEY_PEPPERS": f"p1:{HEX}", "LATCHKEY_SEALING_KEYS": f"s1:{HEX}"}


@pytest.mark.parametrize("program", ["check", "server", "worker", "beat"])
def test_faults_that_checks_find_refuse_every_start(program: str, migrator_url: str) -> None:
    """The owner is recognised by the database also where no migrator is named."""
    owner = {"LATCHKEY_DATABASE_URL": migrator_url, "LATCHKEY_DATABASE_MIGRATOR_URL": None}
    ended = run_python(*PROGRAMS[program], changes=SHARED_KEY | owner)
    told = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert "latchkey.E001" in told
    assert program == "check" or "latchkey.E002" in told
    assert program == "check" or "owns accounts_auditentry" in told
    assert HEX not in told


def test_owner_as_application_is_an_error(settings: Settings) -> None:
    assert run_checks(tags=["latchkey"]) == []
    settings.LATCHKEY_APPLICATION_ROLE = settings.DATABASES["migrator"]["USER"]
    assert [found.id for found in run_checks(tags=["latchkey"])] == ["latchkey.E002"]
    with pytest.raises(ImproperlyConfigured, match=r"latchkey\.E002"):
        refuse_to_boot()


RIGHTS = {
    "none": ("", ""),
    "reading": ("GRANT SELECT, INSERT ON accounts_auditentry TO {}", ""),
    "update": ("GRANT UPDATE ON accounts_auditentry TO {}", "may UPDATE"),
    "delete": ("GRANT DELETE ON accounts_auditentry TO {}", "may UPDATE"),
    "truncate": ("GRANT TRUNCATE ON accounts_auditentry TO {}", "may UPDATE"),
    "everybody's": ("GRANT DELETE ON accounts_auditentry TO PUBLIC", "may UPDATE"),
    "membership": ("GRANT latchkey_owner TO {}", "owns accounts_auditentry"),
    "superuser": ("ALTER ROLE {} SUPERUSER", "is a superuser"),
    "no table yet": ("ALTER TABLE accounts_auditentry RENAME TO accounts_later", ""),
}


@pytest.mark.parametrize("case", RIGHTS.values(), ids=RIGHTS)
def test_role_is_asked_what_it_may_do_to_the_trail(
    case: tuple[str, str], services: Services, database_url: str, django_db_setup: None
) -> None:
    statement, fault = case
    role = f"latchkey_{secrets.token_hex(6)}"
    database = str(conninfo.conninfo_to_dict(database_url)["dbname"])
    url = conninfo.make_conninfo(services.superuser_url, dbname=database)
    # Roles are made in the transaction too, and nothing is committed.
    with psycopg.connect(url) as connection:
        connection.execute(f"CREATE ROLE {role}")
        if statement:
            connection.execute(statement.format(role))
        connection.execute(f"SET ROLE {role}")
        found = faults_of_role(connection)
        connection.rollback()
    assert [fault in one for one in found] == [True] * bool(fault)


def test_database_that_is_away_does_not_stop_the_start() -> None:
    nowhere = "postgresql://app@127.0.0.1:9/d"
    ended = run_python("-c", "import portal.asgi", changes={"LATCHKEY_DATABASE_URL": nowhere})
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "PostgreSQL cannot be asked" in ended.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_server_ends_when_the_settings_are_at_fault(workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "portal.server", "--port", str(port), "--workers", workers]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | WEAK["short"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        started = time.monotonic()
        try:
            told, _ = server.communicate(timeout=30)
        finally:
            server.kill()
    assert server.returncode != 0
    assert time.monotonic() - started < 30
    assert "LATCHKEY_SECRET_KEY" in told
    assert RANDOM[:49] not in told


def test_two_roles_of_one_valkey_database_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATCHKEY_CACHE_URL", "redis://h:6379/1")
    monkeypatch.setenv("LATCHKEY_LIMITS_URL", "redis://h?db=1")
    with pytest.raises(ImproperlyConfigured, match="two of them are one database"):
        runpy.run_path(str(ROOT / "portal" / "settings.py"))


DEPLOYED = {
    "LATCHKEY_BASE_URL": "https://models.corp",
    "LATCHKEY_ALLOWED_HOSTS": "models.corp",
    "LATCHKEY_TRUSTED_HOPS": "1",
    "LATCHKEY_STAFF_SECOND_FACTOR": "required",
}


def test_deployment_check_is_clean_with_an_encrypted_base_url() -> None:
    ended = run_python(
        "manage.py", "check", "--deploy", "--fail-level", "WARNING", changes=DEPLOYED
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_deployment_check_warns_of_clear_text(settings: Settings) -> None:
    settings.LATCHKEY_BASE_URL = "http://models.corp"
    assert [found.id for found in base_url_is_encrypted(None)] == ["latchkey.W001"]
    settings.LATCHKEY_BASE_URL = "https://models.corp"
    assert base_url_is_encrypted(None) == []


def test_deployment_check_warns_of_staff_who_need_no_second_factor(settings: Settings) -> None:
    assert [found.id for found in staff_need_a_second_factor(None)] == ["latchkey.W003"]
    settings.LATCHKEY_STAFF_SECOND_FACTOR = "required"
    assert staff_need_a_second_factor(None) == []


def test_health_is_told_without_a_redirect_and_without_a_database() -> None:
    asking = (
        "import django; django.setup()\n"
        "from django.test import Client\n"
        "client = Client(headers={'host': 'models.corp'})\n"
        "print(client.get('/health/live').status_code, client.get('/health/ready').status_code)\n"
        "print(client.get('/').status_code)"
    )
    nowhere = "postgresql://app@127.0.0.1:9/d"
    ended = run_python("-c", asking, changes=DEPLOYED | {"LATCHKEY_DATABASE_URL": nowhere})
    assert ended.stdout.split() == ["200", "503", "301"]


MAIL = {
    "no sender": ({"LATCHKEY_EMAIL_URL": "smtp://mail.corp"}, "LATCHKEY_EMAIL_FROM: it is not set"),
    "not a demonstration": ({"LATCHKEY_EMAIL_URL": "caught"}, "caught is for a demonstration"),
    "weak password": (
        {"LATCHKEY_EMAIL_URL": "smtp://u:hunter2hunt@h", "LATCHKEY_EMAIL_FROM": "a@b"},
        "LATCHKEY_EMAIL_URL: of its password: it is shorter",
    ),
}


@pytest.mark.parametrize("case", MAIL.values(), ids=MAIL)
def test_mail_that_could_not_be_sent_safely_is_a_fault(
    case: tuple[dict[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, fault = case
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured, match=fault) as refused:
        runpy.run_path(str(ROOT / "portal" / "settings.py"))
    assert "hunter2" not in str(refused.value)
    assert str(refused.value).count("\n  - ") == 1
