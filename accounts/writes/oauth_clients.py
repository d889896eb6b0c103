"""Register, disable, enable and remove the OAuth clients of a team, and replace their secrets."""

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction

from accounts.audit import Actor, record_audit
from accounts.models import OAuthApplication, ServiceAccount, Team, User
from accounts.models.audit import ActorKind, AuditTag
from accounts.models.keys import CALL_SCOPES, Scope
from accounts.models.oauth import is_safe_redirect
from accounts.oauth.assertions import keys_of
from accounts.oauth.secrets import encode_secret, make_client_secret
from accounts.oauth.writes import end_tokens_of_client
from accounts.roles import is_administrator
from accounts.writes.disabling import FIELDS, set_disabled, set_enabled
from accounts.writes.networks import checked_networks
from accounts.writes.reasons import checked_reason
from portal.lib.clock import utc_now
from portal.lib.ids import new_id

REDIRECTS_MAX = 10
REDIRECT_LENGTH_MAX = 500
KEYS_LENGTH_MAX = 8_000


class ClientGrant(models.TextChoices):
    """How a client comes by its tokens."""

    CLIENT_CREDENTIALS = (
        OAuthApplication.GRANT_CLIENT_CREDENTIALS,
        "By itself, for a service account",
    )
    AUTHORIZATION_CODE = (
        OAuthApplication.GRANT_AUTHORIZATION_CODE,
        "A person allows it in a browser",
    )
    DEVICE_CODE = OAuthApplication.GRANT_DEVICE_CODE, "A person allows a device with a code"


@dataclass(frozen=True, repr=False)
class RegisteredClient:
    """A client with its secret, which is shown once and stored nowhere; "" where it has none."""

    client: OAuthApplication
    secret: str


@transaction.atomic
def register_client(
    team: Team,
    *,
    name: str,
    grant: ClientGrant,
    scopes: Sequence[Scope],
    actor: Actor,
    service_account: ServiceAccount | None = None,
    is_public: bool = False,
    redirect_uris: Sequence[str] = (),
    networks: Sequence[str] = (),
    jwks: Sequence[dict[str, Any]] = (),
    expires_at: datetime.datetime | None = None,
) -> RegisteredClient:
    """Make a client of this team.

    is_public: it runs where no secret can be kept. jwks: it proves itself by these public keys, and gets no secret.
    Raises: ValidationError naming the field.
    """
    _refuse_holder(team, grant, service_account)
    _refuse_scopes(scopes, grant, actor)
    _refuse_proof(grant, jwks, is_public=is_public)
    if expires_at is not None and expires_at <= utc_now():
        raise ValidationError({"expires_at": "This end lies in the past."})
    secret = "" if is_public or jwks else make_client_secret()
    credential_id = new_id()
    client = OAuthApplication(
        credential_id=credential_id,
        client_id=str(credential_id),
        client_secret=encode_secret(secret) if secret else "",
        # It is hashed already, and in a way that the library does not know.
        hash_client_secret=False,
        name=name,
        team=team,
        service_account=service_account,
        client_type=OAuthApplication.CLIENT_PUBLIC
        if is_public
        else OAuthApplication.CLIENT_CONFIDENTIAL,
        authorization_grant_type=grant.value,
        scopes=list(dict.fromkeys(scope.value for scope in scopes)),
        redirect_uris=" ".join(_redirects(redirect_uris, grant, is_public=is_public)),
        networks=checked_networks(networks),
        jwks=list(jwks),
        expires_at=expires_at,
        created_by=actor.id,
    )
    if not name.strip():
        raise ValidationError({"name": "Name the client, as people read it when they allow it."})
    client.full_clean(exclude=["user"])
    client.save()
    _note(AuditTag.OAUTH_CLIENT_REGISTERED, client, actor, grant=grant.value, scopes=client.scopes)
    return RegisteredClient(client, secret)


@transaction.atomic
def replace_client_secret(client: OAuthApplication, *, actor: Actor) -> RegisteredClient:
    """Give the client another secret; the old one is wrong at once. Raises: ValidationError where it has none."""
    client = _locked(client)
    if client.is_public or client.jwks:
        raise ValidationError("This client proves itself without a secret.")
    secret = make_client_secret()
    client.client_secret = encode_secret(secret)
    client.save(update_fields=["client_secret", "updated"])
    _note(AuditTag.OAUTH_CLIENT_SECRET_REPLACED, client, actor)
    return RegisteredClient(client, secret)


@transaction.atomic
def disable_client(
    client: OAuthApplication,
    *,
    actor: Actor,
    reason: str,
    by_administrator: bool = True,
) -> None:
    """Issue the client nothing more and end all its tokens; gateways refuse them within a second.

    Disabling twice keeps the first reason, except that an administrator's takes the place of a team's.
    by_administrator: its team does not enable it again.
    """
    reason = checked_reason(reason, act="the client is disabled")
    client = _locked(client)
    if not set_disabled(client, actor=actor, by_administrator=by_administrator):
        return
    client.disabled_reason = reason
    client.save(update_fields=[*FIELDS, "disabled_reason", "updated"])
    end_tokens_of_client(client)
    _note(AuditTag.OAUTH_CLIENT_DISABLED, client, actor, reason=reason)


@transaction.atomic
def enable_client(
    client: OAuthApplication,
    *,
    actor: Actor,
    by_administrator: bool = False,
) -> None:
    """Let the client get tokens again; those it had stay ended.

    Raises: ValidationError for a team's hand where an administrator disabled it.
    """
    client = _locked(client)
    if not set_enabled(client, actor=actor, by_administrator=by_administrator):
        return
    client.disabled_reason = ""
    client.save(update_fields=[*FIELDS, "disabled_reason", "updated"])
    _note(AuditTag.OAUTH_CLIENT_ENABLED, client, actor)


@transaction.atomic
def remove_client(client: OAuthApplication, *, actor: Actor) -> None:
    """Delete the client with all its tokens. What it called stays in the ledger, under its id."""
    found = OAuthApplication.objects.select_for_update().filter(pk=client.pk).first()
    if found is None:
        return
    end_tokens_of_client(found)
    _note(AuditTag.OAUTH_CLIENT_REMOVED, found, actor)
    found.delete()


def read_client_keys(text: str) -> list[Any]:
    """Return the keys of a JWKS that was pasted, none for "". What is no key, the write refuses.

    An address of keys is never taken: whoever holds the address would hold the client.
    Raises: ValidationError.
    """
    if not text.strip():
        return []
    try:
        keys = json.loads(text)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        keys = None
    if not isinstance(keys, list) or not keys:
        raise ValidationError("Paste a JWKS: a JSON object with the member “keys”.")
    return keys


def _locked(client: OAuthApplication) -> OAuthApplication:
    found: OAuthApplication = OAuthApplication.objects.select_for_update(no_key=True).get(
        pk=client.pk
    )
    return found


def _refuse_holder(team: Team, grant: ClientGrant, account: ServiceAccount | None) -> None:
    if grant is not ClientGrant.CLIENT_CREDENTIALS:
        if account is not None:
            raise ValidationError(
                {"service_account": "People allow this client; it calls for them."}
            )
        return
    if account is None or account.team_id != team.pk:
        raise ValidationError({"service_account": "Choose a service account of this team."})


def _refuse_scopes(scopes: Sequence[Scope], grant: ClientGrant, actor: Actor) -> None:
    if not scopes:
        raise ValidationError({"scopes": "A client needs at least one scope."})
    if grant is ClientGrant.CLIENT_CREDENTIALS and not set(scopes) <= set(CALL_SCOPES):
        raise ValidationError({"scopes": "Only people can open the management API."})
    if Scope.ADMINISTER not in scopes or actor.kind != ActorKind.PERSON:
        return
    person = User.objects.filter(pk=actor.id).first() if actor.id else None
    if person is None or not is_administrator(person):
        raise ValidationError({"scopes": "Only an administrator lets a client administer."})


def _refuse_proof(grant: ClientGrant, jwks: Sequence[dict[str, Any]], *, is_public: bool) -> None:
    if is_public and (jwks or grant is ClientGrant.CLIENT_CREDENTIALS):
        raise ValidationError(
            {"is_public": "A client that proves itself by a key or calls by itself keeps a secret."}
        )
    try:
        keys_of(jwks)
    except ValueError as error:
        raise ValidationError({"jwks": str(error)}) from None


def _redirects(uris: Sequence[str], grant: ClientGrant, *, is_public: bool) -> list[str]:
    """Return where codes may be sent. Raises: ValidationError."""
    if grant is not ClientGrant.AUTHORIZATION_CODE:
        if uris:
            raise ValidationError({"redirect_uris": "This client is sent no codes."})
        return []
    if not 0 < len(uris) <= REDIRECTS_MAX:
        raise ValidationError({"redirect_uris": f"Name 1 to {REDIRECTS_MAX} redirect URIs."})
    for uri in uris:
        is_fit = is_safe_redirect(uri) and (is_public or uri.startswith("https://"))
        if not is_fit or uri.split() != [uri] or len(uri) > REDIRECT_LENGTH_MAX:
            raise ValidationError(
                {
                    "redirect_uris": "Use whole https:// addresses, without wildcards and fragments; "
                    "a public client may also use http://127.0.0.1 and http://[::1]."
                }
            )
    return list(dict.fromkeys(uris))


def _note(tag: AuditTag, client: OAuthApplication, actor: Actor, **facts: Any) -> None:
    record_audit(
        tag,
        actor=actor,
        subject_kind="oauth_client",
        subject_id=client.credential_id,
        team_id=client.team_id,
        **facts,
    )
