"""What is logged and how long it is kept decide nothing: a peer's limits went off with its log level."""

from pathlib import Path

import pytest

from tests.flows.answers import CHAT, SECRET_PROMPT, chat_body, demo
from tests.flows.conftest import Catalogue
from tests.flows.house import new_caller
from tests.flows.ledger import find_calls
from tests.flows.processes import run_gateway


@pytest.mark.time_limit_s(120)
@pytest.mark.parametrize(
    ("call_log", "level", "months", "sync"),
    # Each process is dear. Every value once, and calls logged and levels crossed: the quiet one with the loud other.
    [
        ("none", "DEBUG", "0", "each"),
        ("failures", "WARNING", "1", "never"),
        ("all", "ERROR", "0", "interval"),
        ("all", "INFO", "24", "never"),
    ],
)
def test_limits_and_the_ledger_hold_whatever_is_logged_and_kept(
    catalogue: Catalogue,
    committed: None,
    tmp_path: Path,
    call_log: str,
    level: str,
    months: str,
    sync: str,
) -> None:
    settings = {
        "LATCHKEY_CALL_LOG": call_log,
        "LATCHKEY_LOG_LEVEL": level,
        "LATCHKEY_LEDGER_KEEP_MONTHS": months,
        "LATCHKEY_JOURNAL_SYNC": sync,
    }
    with run_gateway(tmp_path, **settings) as gateway:
        caller = new_caller(gateway.port, catalogue.chat, requests_per_minute=3)
        body = chat_body(catalogue.chat.name, SECRET_PROMPT)
        replies = [caller.post(CHAT, body) for _ in range(6)]

        assert [reply.status for reply in replies] == [200] * 3 + [429] * 3
        rows = find_calls(caller.key.id, count=6)
        assert [row.status for row in rows] == ["answered"] * 3 + ["refused"] * 3
        by_tokens = new_caller(gateway.port, catalogue.chat, tokens_per_minute=1000)
        long = chat_body(catalogue.chat.name, demo(tokens=400), max_tokens=450)
        answers = [by_tokens.post(CHAT, long) for _ in range(5)]
        assert [answer.status for answer in answers] == [200] * 2 + [429] * 3
        assert {answer.json()["error"]["param"] for answer in answers[2:]} == {"tokens_per_minute"}
        used = find_calls(by_tokens.key.id, count=5)
        assert sum(row.input_tokens + row.output_tokens for row in used) <= 1000
        assert caller.send("GET", "/v1/models").status == 429
        log = gateway.log()
    assert (replies[0].request_id in log) == (call_log == "all" and level == "INFO")
    # The server's own line for each request would say more than the setting lets it.
    assert "GET /v1/models" not in log
    assert "GET /health/" not in log
    assert SECRET_PROMPT not in log
    assert caller.text not in log
