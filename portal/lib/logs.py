"""JSON lines on standard error, one per event, with every text redacted and no stack trace's local values."""

import logging
import traceback
from typing import Any

import msgspec
from django.http import HttpRequest

from portal.lib.clock import utc_now
from portal.lib.redaction import redact

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_encode = msgspec.json.Encoder().encode


class JsonFormatter(logging.Formatter):
    """A record as one JSON object: at, level, logger, message, and whatever `extra` named."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": utc_now().isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _text(_message(record)),
        }
        for name, value in vars(record).items():
            if name not in _PLAIN:
                line[name] = _shown(value)
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = _frames(record.exc_info[1])
        return _encode(line).decode()


def _message(record: logging.LogRecord) -> str:
    """The message, or its form where the arguments do not fit: logging itself would print them unredacted."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - an argument's own __str__ can raise anything.
        return _as_text(record.msg)


def _shown(value: object) -> object:
    if value is None or isinstance(value, float):
        return value
    if isinstance(value, int) and abs(value) < 1 << 63:
        return value
    if isinstance(value, HttpRequest):
        # Its query may hold anything.
        return _text(f"{value.method} {value.path}")
    return _text(_as_text(value))


def _as_text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - see _message.
        return f"a {type(value).__name__} that cannot be shown"


def _text(text: str) -> str:
    """Redacted, and without the lone surrogates that no JSON can hold."""
    return redact(text.encode("utf-8", "backslashreplace").decode())


def _frames(error: BaseException) -> dict[str, object]:
    """The error's class and where it was raised. Its text is redacted; source lines stay out, they may hold literals."""
    stack = traceback.extract_tb(error.__traceback__)
    return {
        "class": type(error).__qualname__,
        "text": _text(_as_text(error))[:500],
        "at": [f"{frame.filename}:{frame.lineno}:{frame.name}" for frame in stack[-12:]],
    }


def logging_config(level: str) -> dict[str, Any]:
    """Django's LOGGING: JSON to standard error for everything, our areas at `level`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "portal.lib.logs.JsonFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            # Set up again, "uvicorn" would take its child back in. Calls are logged once, and as LATCHKEY_CALL_LOG says.
            "uvicorn.access": {"handlers": [], "propagate": False},
        }
        | {name: {"level": level} for name in ("latchkey", "django.request", "celery", "uvicorn")},
    }
