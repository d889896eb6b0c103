import io
import json
import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import RequestFactory

from accounts.credential import make_credential
from portal.lib.logs import JsonFormatter, logging_config

CANARY = make_credential().text
PASSWORD = "hunter2hunter2"


class Log(logging.Logger):
    """A logger whose lines can be read back."""

    def __init__(self) -> None:
        super().__init__("latchkey.test")
        self.stream = io.StringIO()
        handler = logging.StreamHandler(self.stream)
        handler.setFormatter(JsonFormatter())
        self.addHandler(handler)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Iterator[Log]:
    log = Log()
    yield log
    told = log.stream.getvalue() + "".join(capsys.readouterr())
    assert CANARY not in told
    assert PASSWORD not in told


def test_line_is_one_json_object(log: Log) -> None:
    log.warning("Two\nlines with %d.", 7, extra={"team_id": uuid.UUID(int=1), "count": 3})
    (line,) = log.lines()
    assert line["message"] == "Two\nlines with 7."
    assert line["level"] == "warning"
    assert line["logger"] == "latchkey.test"
    assert line["team_id"] == str(uuid.UUID(int=1))
    assert line["count"] == 3
    assert line["at"].endswith("+00:00")


def test_key_never_stands_in_a_line(log: Log) -> None:
    log.error("Key %s in the text", CANARY)
    log.error(f"Key {CANARY} in the form")  # noqa: G004 - others log so.
    log.error("In an extra", extra={"header": f"Bearer {CANARY}", "raw": CANARY.encode()})
    log.error("In a list", extra={"keys": [CANARY], "named": {"key": CANARY}})
    log.error("In a URL", extra={"url": f"redis://:{PASSWORD}@h/0"})
    assert len(log.lines()) == 5


def test_exception_is_told_without_its_secrets(log: Log) -> None:
    try:
        held = CANARY
        raise ValueError(f"refused {held}")
    except ValueError:
        log.exception("It failed.")
    (line,) = log.lines()
    assert line["exception"]["class"] == "ValueError"
    assert "test_logs.py" in line["exception"]["at"][-1]


def test_cause_of_an_exception_brings_no_secret(log: Log) -> None:
    try:
        try:
            raise KeyError(CANARY)
        except KeyError as error:
            raise RuntimeError("outer") from error
    except RuntimeError:
        log.exception("It failed.", stack_info=True)
    assert log.lines()[0]["exception"]["text"] == "outer"


def test_arguments_that_do_not_fit_are_not_printed_by_logging_itself(log: Log) -> None:
    log.error("Only one %s", *[CANARY, CANARY])
    assert log.lines()[0]["message"] == "Only one %s"


def test_object_that_cannot_be_shown_does_not_end_the_line(log: Log) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError(CANARY)

    log.error("Broken %s", Broken())
    log.error("Broken", extra={"broken": Broken()})
    assert len(log.lines()) == 2


def test_request_is_told_without_its_query(log: Log) -> None:
    request = RequestFactory().get(f"/page?token={PASSWORD}")
    log.error("Not Found", extra={"request": request})
    assert log.lines()[0]["request"] == "GET /page"


@pytest.mark.parametrize(
    "value", ["\ud800", float("nan"), 1 << 70, -(1 << 70), b"\xff", "\x00\x1b[2J"]
)
def test_odd_value_still_makes_a_line(log: Log, value: object) -> None:
    log.error("Odd %s", value, extra={"value": value})
    assert len(log.lines()) == 1
    assert "\x1b" not in log.stream.getvalue()


def test_every_logger_writes_json_to_standard_error() -> None:
    config = logging_config("INFO")
    assert config["root"]["handlers"] == ["stderr"]
    assert config["handlers"]["stderr"]["formatter"] == "json"
    assert config["loggers"]["latchkey"]["level"] == "INFO"
