"""Principals, routes and heads for tests that need no database."""

import datetime
import uuid
from typing import Any

from accounts.credential import make_credential
from accounts.ways_in.presented import Presented
from accounts.ways_in.proven import CredentialKind
from portal.lib.clock import utc_now
from portal.lib.ids import new_call_id
from portal.lib.origin import Origin
from proxy.call import CallKind
from proxy.exchange import Head
from proxy.leases.window import Measure, Window
from proxy.principal import GrantedModel, JournalIds, Principal
from proxy.route import Price, Route, RouteIds

HOUR = datetime.timedelta(hours=1)


def a_grant(*scopes: str, **facts: Any) -> GrantedModel:
    """A grant from an hour ago to an hour hence."""
    now = utc_now()
    return GrantedModel(
        frozenset(scopes or ("chat", "embeddings")),
        facts.get("starts_at", now - HOUR),
        facts.get("ends_at", now + HOUR),
        facts.get("windows", ()),
    )


def a_principal(**facts: Any) -> Principal:
    """A principal of a service account that may call whatever `grants` names."""
    key_id, team_id, account_id = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    defaults: dict[str, Any] = {
        "credential_id": key_id,
        "kind": CredentialKind.API_KEY,
        "team_id": team_id,
        "service_account_id": account_id,
        "person_id": None,
        "journal_ids": JournalIds(team_id.bytes, key_id.bytes, account_id.bytes, None),
        "purpose": "",
        "scopes": frozenset({"chat", "embeddings"}),
        "networks": (),
        "expires_at": utc_now() + HOUR,
        "windows": (
            Window(f"key:{key_id.hex}:requests", 600, 60, Measure.REQUESTS),
            Window(f"key:{key_id.hex}:tokens", 100_000, 60, Measure.TOKENS),
        ),
        "grants": {},
        "only_models": None,
    }
    facts = defaults | facts
    names = ("credential_id", "team_id", "service_account_id", "person_id")
    ids = frozenset(facts[name] for name in names if facts[name] is not None)
    return Principal(**({"depends_on": ids} | facts))


def a_presented(text: str) -> Presented:
    """A key as it was read, whatever its text."""
    return Presented(text, CredentialKind.API_KEY)


def a_route(**facts: Any) -> Route:
    """A published chat model."""
    model_id = facts.get("model_id", uuid.uuid4())
    defaults: dict[str, Any] = {
        "model_id": model_id,
        "name": "chat",
        "kind": "chat",
        "owned_by": "latchkey",
        "created": 0,
        "deprecated_at": None,
        "sunset_at": None,
        "context_tokens": 8000,
        "max_output_tokens": 1000,
        "tokens_per_byte": 1.0,
        "price": Price(1, 1, 1),
        "extra_members": frozenset(),
        "drains": False,
        "cap_member": "max_tokens",
        "journal_ids": RouteIds(model_id.bytes, uuid.uuid4().bytes, uuid.uuid4().bytes),
        "upstream_name": "upstream",
        "origin": Origin("http", "127.0.0.1", 1),
        "base_path": b"/v1",
        "credential": "",
    }
    return Route(**(defaults | facts))


def a_head(**facts: Any) -> Head:
    """The head of a call with a key that nobody issued."""
    call_id, request_id = new_call_id()
    defaults: dict[str, Any] = {
        "kind": CallKind.CHAT,
        "credential": make_credential().text,
        "peer": "127.0.0.1",
        "call_id": call_id,
        "request_id": request_id,
        "started_ns": 1,
    }
    return Head(**(defaults | facts))
