"""What an administrator does for a proof, through the application's own writes where there is one."""

import datetime as dt
import secrets
from collections.abc import Callable
from io import StringIO

import redis
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.audit import SYSTEM
from accounts.change_feed import APPLICATION_NAME
from accounts.models import ApiKey, User
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.keys import issue_key as issue
from accounts.writes.keys import revoke_key as revoke
from accounts.writes.people import create_person
from accounts.writes.teams import add_member, create_service_account, create_team
from bench.budget_duties import read_budget, read_last_cost, set_budget
from bench.key_rows import find_key, make_calling_keys, make_keys, open_limits
from bench.page_rows import count_queries, make_pages
from bench.scale_rows import count_usage, finish_rows, make_calls
from models_registry.models import AiModel, ModelStatus, Provider
from models_registry.writes.grants import grant_model
from portal.lib.clock import utc_now
from proxy.models import StaleHour


def point_providers(*, base_url: str) -> int:
    """Send every model's calls to one upstream."""
    return Provider.objects.update(base_url=base_url)


def issue_key(*, like: str) -> dict[str, str]:
    """Issue a key for the holder of another, with its scopes and without limits."""
    sample = find_key(like)
    holder = sample.service_account or sample.person
    if holder is None:
        message = f"Key {sample.public_id} has no holder."
        raise LookupError(message)
    issued = issue(
        sample.team,
        holder=holder,
        name="revocation proof",
        scopes=[Scope(scope) for scope in sample.scopes],
        expires_at=utc_now() + dt.timedelta(days=1),
        actor=SYSTEM,
    )
    return {"key_id": str(issued.key.id), "text": issued.text}


def act_as(*, role: str) -> str:
    """Return the key of a new person: in the role in a team of their own with others in it, or an administrator."""
    name = f"{role}-{secrets.token_hex(4)}"
    is_administrator = role == "administrator"
    team = create_team(name, actor=SYSTEM)
    for number, one in enumerate((Role.OWNER, Role.OWNER, Role.MEMBER)):
        add_member(team, person=_new_person(f"{name}-{number}"), role=one, actor=SYSTEM)
    create_service_account(team, name="app", actor=SYSTEM)
    person = _new_person(name, is_administrator=is_administrator)
    own_role = Role.OWNER if is_administrator else Role(role)
    add_member(team, person=person, role=own_role, actor=SYSTEM)
    for model in AiModel.objects.filter(status=ModelStatus.PUBLISHED):
        grant_model(model, to=team, scopes=[Scope(model.kind)], ends_at=_tomorrow(), actor=SYSTEM)
    scopes = [Scope.CHAT, Scope.EMBEDDINGS, Scope.MANAGE]
    scopes += [Scope.ADMINISTER] if is_administrator else []
    issued = issue(
        team, holder=person, name=name, scopes=scopes, expires_at=_tomorrow(), actor=SYSTEM
    )
    return issued.text


def _new_person(name: str, *, is_administrator: bool = False) -> User:
    return create_person(
        f"{name}@bench.test",
        password=secrets.token_urlsafe(24),
        actor=SYSTEM,
        is_administrator=is_administrator,
    )


def _tomorrow() -> dt.datetime:
    return utc_now() + dt.timedelta(days=1)


def revoke_key(*, key_id: str) -> bool:
    """Revoke a key; it is committed when this returns."""
    revoke(ApiKey.objects.get(pk=key_id), actor=SYSTEM, reason="revocation proof")
    return True


def list_listeners() -> list[int]:
    """The PostgreSQL server processes behind connections that listen for changes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = %s", [APPLICATION_NAME]
        )
        return [pid for (pid,) in cursor.fetchall()]


def count_ledger() -> dict[str, int]:
    """How many rows the ledger has for each request id."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT request_id, count(*) FROM proxy_call GROUP BY request_id")
        return dict(cursor.fetchall())


def read_store_versions() -> dict[str, str]:
    """The versions of the database and of the limits' store."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (database,) = cursor.fetchone()
    limits = redis.from_url(settings.LATCHKEY_LIMITS_URL)
    info = limits.info("server")
    limits.close()
    return {"PostgreSQL": database, "Valkey": info.get("valkey_version", info["redis_version"])}


def count_waiting_hours() -> int:
    """How many notes of hours wait for their usage to be counted."""
    return StaleHour.objects.count()


def verify_ledger() -> str:
    """What `manage.py verify_ledger` says."""
    said = StringIO()
    try:
        call_command("verify_ledger", stdout=said)
    except CommandError as error:
        said.write(str(error))
    return said.getvalue()


DUTIES: dict[str, Callable[..., object]] = {
    duty.__name__: duty
    for duty in (
        open_limits,
        make_calling_keys,
        make_keys,
        point_providers,
        issue_key,
        act_as,
        revoke_key,
        list_listeners,
        count_ledger,
        read_store_versions,
        count_waiting_hours,
        verify_ledger,
        set_budget,
        read_budget,
        read_last_cost,
        make_pages,
        make_calls,
        count_usage,
        finish_rows,
        count_queries,
    )
}
