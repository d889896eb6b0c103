"""Fetches the public keys of issuers: at registration, and by a task. Never while a call waits."""

import json
import ssl
from typing import Any

import requests
from django.conf import settings

from accounts.models.workload import KeySource
from accounts.workload.jwks import JWKS_MAX_BYTES, read_jwks
from portal.lib.checked_http import get_bytes
from portal.lib.networks import AddressNotAllowed

DISCOVERY_PATH = "/.well-known/openid-configuration"
DISCOVERY_MAX_BYTES = 64 * 1024
PAUSE_S = 5.0
TOTAL_S = 10.0


class IssuerSilent(Exception):
    """The issuer did not answer with its keys; the text says what was seen."""


def fetch_keys(
    issuer: str, *, source: str, jwks_url: str = "", certificate_authority: str = ""
) -> list[dict[str, str]]:
    """Return the issuer's usable keys.

    Raises: IssuerSilent. For pasted keys there is nothing to fetch.
    """
    if source == KeySource.DISCOVERY:
        jwks_url = _discovered(issuer, certificate_authority)
    try:
        return read_jwks(_get(jwks_url, certificate_authority, max_bytes=JWKS_MAX_BYTES))
    except ValueError as error:
        raise IssuerSilent(str(error)) from None


def check_authority(pem: str) -> None:
    """Raises: ValueError where the text holds no certificate."""
    try:
        ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise ValueError("This is no certificate in PEM form.") from None


def _discovered(issuer: str, certificate_authority: str) -> str:
    """The address of the keys as the issuer's own document has it (OpenID Connect Discovery 1.0, section 4)."""
    body = _get(
        issuer.rstrip("/") + DISCOVERY_PATH, certificate_authority, max_bytes=DISCOVERY_MAX_BYTES
    )
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise IssuerSilent("Its discovery document is not JSON.") from None
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise IssuerSilent("Its discovery document names another issuer.")
    found = document.get("jwks_uri")
    if not isinstance(found, str) or not found.startswith("https://"):
        raise IssuerSilent("Its discovery document names no `jwks_uri` with https.")
    return found


def _get(url: str, certificate_authority: str, *, max_bytes: int) -> bytes:
    try:
        return get_bytes(
            url,
            networks=settings.LATCHKEY_ISSUER_NETWORKS,
            timeout_s=PAUSE_S,
            total_s=TOTAL_S,
            max_bytes=max_bytes,
            certificate_authority=certificate_authority,
        )
    except AddressNotAllowed:
        raise IssuerSilent("Its address is in none of LATCHKEY_ISSUER_NETWORKS.") from None
    except requests.HTTPError as error:
        raise IssuerSilent(f"It answered {error.response.status_code}.") from None
    except (requests.RequestException, OSError, ValueError) as error:
        raise IssuerSilent(f"It could not be reached ({type(error).__name__}).") from None
