"""GitHub's secret-scanning partner protocol: its public keys, its signatures, and what a report says.

Source: https://docs.github.com/code-security/secret-scanning/secret-scanning-partner-program
"""

import base64
import logging
from typing import Any

import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings

from accounts.audit import SYSTEM
from accounts.models import ReporterKey
from accounts.writes.leaks import LeakReport, replace_reporter_keys
from portal.lib.checked_http import get_bytes
from portal.lib.networks import AddressNotAllowed
from portal.lib.strict_json import read_array, read_object

KEYS_MAX_BYTES = 64 * 1024
KEYS_MAX = 50
IDENTIFIER_MAX = 200
SIGNATURE_MAX = 400
PEM_MAX = 2_000
MATCHES_MAX = 1_000
TEXT_MAX = 4_000
_log = logging.getLogger("latchkey.leaks")


def is_signed(body: bytes, *, identifier: str, signature: str) -> bool:
    """Whether the raw body carries the signature of the named key (ECDSA over P-256 with SHA-256, base64)."""
    if not 0 < len(identifier) <= IDENTIFIER_MAX or not 0 < len(signature) <= SIGNATURE_MAX:
        return False
    known = ReporterKey.objects.filter(pk=identifier).first()
    if known is None:
        return False
    try:
        _public_key(known.public).verify(
            base64.b64decode(signature, validate=True), body, ec.ECDSA(SHA256())
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def read_reports(body: bytes) -> list[tuple[LeakReport, str]]:
    """Return what is reported, with the type that GitHub gives each. Raises: ValueError."""
    matches = read_array(body)
    if len(matches) > MATCHES_MAX:
        raise ValueError(f"more than {MATCHES_MAX} matches")
    return [_read_match(one) for one in matches]


def fetch_keys() -> bool:
    """Fetch the public keys where the setting says; return whether they changed. If that fails, the known ones stay."""
    url = settings.LATCHKEY_GITHUB_KEYS_URL
    if not url:
        return False
    try:
        body = get_bytes(
            url, networks=settings.LATCHKEY_ISSUER_NETWORKS, total_s=15, max_bytes=KEYS_MAX_BYTES
        )
        keys = read_keys(body)
    except (requests.RequestException, AddressNotAllowed, OSError, ValueError) as error:
        _log.warning("GitHub's keys cannot be fetched.", extra={"error": type(error).__name__})
        return False
    return replace_reporter_keys(keys, actor=SYSTEM)


def read_keys(body: bytes) -> dict[str, str]:
    """Return the document's keys by their identifiers. Raises: ValueError for a document without one that can be used."""
    listed = read_object(body).get("public_keys")
    if not isinstance(listed, list) or not 0 < len(listed) <= KEYS_MAX:
        raise ValueError("it lists no public keys")
    keys: dict[str, str] = {}
    for one in listed:
        identifier = _text(one, "key_identifier", IDENTIFIER_MAX)
        keys[identifier] = _text(one, "key", PEM_MAX)
        _public_key(keys[identifier])
    return keys


def _public_key(pem: str) -> ec.EllipticCurvePublicKey:
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("it is no key on P-256")  # noqa: TRY004 - one kind of error for whatever is wrong with it.
    return key


def _read_match(match: Any) -> tuple[LeakReport, str]:
    report = LeakReport(
        token=_text(match, "token", TEXT_MAX),
        place=_text(match, "url", TEXT_MAX, may_lack=True),
        found_in=_text(match, "source", TEXT_MAX, may_lack=True),
    )
    return report, _text(match, "type", IDENTIFIER_MAX)


def _text(found: Any, name: str, length_max: int, *, may_lack: bool = False) -> str:
    value = found.get(name) if isinstance(found, dict) else None
    if value is None and may_lack and isinstance(found, dict):
        return ""
    if not isinstance(value, str) or len(value) > length_max or not (value or may_lack):
        raise ValueError(f"{name} is missing, no text or too long")
    # Half of a surrogate pair is no text that could be a key, and not worth the other matches of the report.
    return value.encode(errors="replace").decode()
