"""Settings from the environment: each is declared once, read once, and can be listed.

`NAME_FILE` names a file that holds the value, for secrets mounted by an orchestrator. Every fault is collected, so that
an operator sees all of them at the first start and not one per start.
"""

import itertools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg
from django.core.exceptions import ImproperlyConfigured
from psycopg import conninfo

from portal.lib.origin import Origin

T = TypeVar("T")

_SIZE = re.compile(r"^(\d+)\s*(B|KiB|MiB|GiB)?$")
_UNITS = {None: 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_PLACEHOLDERS = ("changeme", "change-me", "insecure", "default", "example", "password", "secret123")
_REQUIRED = object()
PASSWORD_MIN = 12
# Those of the models; settings are read before there are any. Shorter than a week, nobody could be warned in time.
DATA_CLASSES = ("public", "internal", "confidential", "secret")
DAYS_MIN, DAYS_MAX = 7, 3650


@dataclass(frozen=True)
class Setting:
    """What an operator can set: its name, its default as text ("" where it is a secret or empty) and what it accepts."""

    name: str
    default: str
    accepts: str
    secret: bool
    required: bool


@dataclass
class Environment:
    """Reads declared settings out of `values` and remembers what was declared and what was wrong."""

    values: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    declared: dict[str, Setting] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def read(
        self,
        name: str,
        convert: Callable[[str], T],
        *,
        accepts: str,
        default: object = _REQUIRED,
        fallback: T,
        secret: bool = False,
    ) -> T:
        """Return the setting's value; a fault is noted and `fallback` stands in until `refuse_faults`."""
        required = default is _REQUIRED
        shown = "" if required else str(default)
        self.declared[name] = Setting(name, "" if secret else shown, accepts, secret, required)
        try:
            raw = self._raw(name)
            if raw is None:
                if required:
                    raise ValueError("it is not set")
                raw = shown
            return convert(raw)
        except (ValueError, OSError) as error:
            self.faults.append(f"{name}: {error}. It accepts {accepts}.")
            return fallback

    def _raw(self, name: str) -> str | None:
        if name in self.values:
            return self.values[name].strip()
        file_name = self.values.get(f"{name}_FILE")
        if file_name is None:
            return None
        try:
            return Path(file_name).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ValueError(f"its file could not be read ({error.strerror})") from None

    def text(self, name: str, *, accepts: str, default: object = _REQUIRED) -> str:
        return self.read(name, _filled, accepts=accepts, default=default, fallback="")

    def base_url(self, name: str, *, accepts: str) -> str:
        return self.read(name, _base_url, accepts=accepts, fallback="")

    def flag(self, name: str, *, accepts: str, default: bool = False) -> bool:
        return self.read(name, _flag, accepts=accepts, default=int(default), fallback=default)

    def number(self, name: str, *, accepts: str, default: float, minimum: float) -> float:
        return self.read(
            name, _number(minimum), accepts=accepts, default=default, fallback=float(default)
        )

    def whole(self, name: str, *, accepts: str, default: int, minimum: int) -> int:
        number = _number(minimum)
        return self.read(
            name,
            lambda raw: _whole(number(raw)),
            accepts=accepts,
            default=default,
            fallback=default,
        )

    def days_by_class(self, name: str, *, accepts: str, default: str) -> dict[str, int]:
        """Return days by class of data: `90` for every class, or `confidential=90, secret=30`, or `never`."""
        return self.read(
            name, _days_by_class, accepts=accepts, default=default, fallback=_days_by_class(default)
        )

    def size_bytes(self, name: str, *, accepts: str, default: str) -> int:
        return self.read(name, _size, accepts=accepts, default=default, fallback=_size(default))

    def names(self, name: str, *, accepts: str, default: object = _REQUIRED) -> tuple[str, ...]:
        return self.read(name, _names, accepts=accepts, default=default, fallback=())

    def choice(self, name: str, choices: tuple[str, ...], *, default: str) -> str:
        def one_of(raw: str) -> str:
            if raw not in choices:
                raise ValueError("it is none of its values")
            return raw

        return self.read(
            name, one_of, accepts=" or ".join(choices), default=default, fallback=default
        )

    def database_url(self, name: str, *, accepts: str, default: object = _REQUIRED) -> str:
        def convert(raw: str) -> str:
            return raw if raw == default else _database_url(raw)

        return self.read(name, convert, accepts=accepts, default=default, fallback="", secret=True)

    def store_url(self, name: str, *, accepts: str) -> str:
        return self.read(name, _store_url, accepts=accepts, fallback="", secret=True)

    def secret(self, name: str, *, accepts: str, min_length: int) -> str:
        """A secret that is present, long enough and not a placeholder."""

        def strong(raw: str) -> str:
            refuse_weak_secret(raw, min_length=min_length)
            return raw

        return self.read(name, strong, accepts=accepts, fallback="", secret=True)

    def keys(self, name: str, *, accepts: str) -> dict[str, bytes]:
        """`id:hex[,id:hex…]` → ids to 32-byte keys, the current one first."""
        return self.read(name, parse_keys, accepts=accepts, fallback={}, secret=True)

    def refuse_faults(self) -> None:
        """Raise one error that names every setting at fault. Values never stand in it."""
        if self.faults:
            listed = "\n  - ".join(self.faults)
            raise ImproperlyConfigured(
                f"Latchkey does not start with these settings:\n  - {listed}\nSee docs/settings.md."
            )


def refuse_weak_secret(raw: str, *, min_length: int) -> None:
    """Raise ValueError for a secret that is empty, short, a placeholder or made of few characters."""
    if not raw:
        raise ValueError("it is empty")
    if len(raw) < min_length:
        raise ValueError(f"it is shorter than {min_length} characters")
    if any(word in raw.lower() for word in _PLACEHOLDERS):
        raise ValueError("it looks like a placeholder")
    if len(set(raw)) < 8:
        raise ValueError("it repeats a few characters")


def parse_keys(raw: str) -> dict[str, bytes]:
    """Parse `id:hex[,id:hex…]`; order is kept and the first key is the current one.

    Raises: ValueError, which never quotes a key.
    """
    if not raw:
        raise ValueError("it is empty")
    keys: dict[str, bytes] = {}
    for entry in raw.split(","):
        key_id, _, text = entry.strip().partition(":")
        if not re.fullmatch(r"[a-z0-9]{1,16}", key_id):
            raise ValueError("a key's id is not 1 to 16 lower-case letters and digits")
        if key_id in keys:
            raise ValueError(f"the id {key_id} stands twice")
        if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
            raise ValueError(f"key {key_id} is not 32 bytes in hexadecimal")
        key = bytes.fromhex(text)
        if _is_pattern(key):
            raise ValueError(f"key {key_id} is not random")
        keys[key_id] = key
    return keys


def _is_pattern(key: bytes) -> bool:
    """Few values, a repeated half, or even steps such as 00 01 02 …: chance makes none of them."""
    steps = {(after - before) % 256 for before, after in itertools.pairwise(key)}
    return len(set(key)) < 8 or key[:16] == key[16:] or len(steps) <= 2


def _flag(raw: str) -> bool:
    if raw not in ("0", "1"):
        raise ValueError("it is neither 0 nor 1")
    return raw == "1"


def _number(minimum: float) -> Callable[[str], float]:
    def convert(raw: str) -> float:
        try:
            value = float(raw)
        except ValueError:
            raise ValueError("it is not a number") from None
        if not minimum <= value < float("inf"):
            raise ValueError(f"it is below {minimum:g} or not finite")
        return value

    return convert


def _whole(value: float) -> int:
    if value != int(value):
        raise ValueError("it is not a whole number")
    return int(value)


def _days_by_class(raw: str) -> dict[str, int]:
    if raw.strip() == "never":
        return {}
    if "=" not in raw:
        return dict.fromkeys(DATA_CLASSES, _days(raw))
    found: dict[str, int] = {}
    for part in _names(raw):
        name, _, days = part.partition("=")
        if name.strip() not in DATA_CLASSES or name.strip() in found:
            raise ValueError("it names a class that there is not, or one twice")
        found[name.strip()] = _days(days)
    return found


def _days(raw: str) -> int:
    number = _number(DAYS_MIN)(raw.strip())
    if number > DAYS_MAX:
        raise ValueError(f"it is above {DAYS_MAX}")
    return _whole(number)


def _size(raw: str) -> int:
    match = _SIZE.match(raw)
    if match is None or int(match[1]) == 0:
        raise ValueError("it is not a size above nothing")
    return int(match[1]) * _UNITS[match[2]]


def _names(raw: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in _filled(raw.strip(" ,")).split(",") if part.strip())


def _filled(raw: str) -> str:
    if not raw:
        raise ValueError("it is empty")
    return raw


def _base_url(raw: str) -> str:
    form = "it is not of the form https://host or https://host:port"
    try:
        origin, path = Origin.from_url(raw)
    except ValueError:
        raise ValueError(form) from None
    if path:
        raise ValueError(form)
    return str(origin)


def _database_url(raw: str) -> str:
    if not raw.startswith(("postgresql://", "postgres://")):
        raise ValueError("it is not a postgresql:// URL")
    try:
        parts = conninfo.conninfo_to_dict(raw)
    except psycopg.Error:
        # libpq's own words quote the URL, with the password.
        raise ValueError("it is not a URL that PostgreSQL's client can read") from None
    if not parts.get("user") or not parts.get("dbname"):
        raise ValueError("it names no role or no database")
    # libpq takes an empty password for none, so the URL itself is asked as well.
    password = parts.get("password", urlsplit(raw).password)
    if password is not None:
        refuse_weak_password(str(password))
    return raw


def _store_url(raw: str) -> str:
    if not raw.startswith(("redis://", "rediss://", "unix://", "redis+socket://")):
        raise ValueError("it is not a redis://, rediss:// or unix:// URL")
    try:
        parts = urlsplit(raw)
        _ = parts.port
    except ValueError:
        raise ValueError("it is not a URL") from None
    # Clients take a password from either place.
    passwords = parse_qs(parts.query, keep_blank_values=True).get("password", [])
    if parts.password is not None:
        passwords.append(unquote(parts.password))
    for password in passwords:
        refuse_weak_password(password)
    return raw


def refuse_weak_password(password: str) -> None:
    """A server without a password is the operator's choice; a guessable one is a mistake."""
    try:
        refuse_weak_secret(password, min_length=PASSWORD_MIN)
    except ValueError as error:
        raise ValueError(f"of its password: {error}") from None
