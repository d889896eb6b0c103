"""`manage.py reconcile` compares what a provider exported with the ledger, whatever the file holds."""

import json
import tracemalloc
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from models_registry.models import Deployment
from proxy.models import first_id_at
from proxy.usage.provider_export import LINE_BYTES_MAX, Unreadable, read_export
from tests.accounts.rows import new_key
from tests.models_registry.rows import new_deployment
from tests.proxy.ledger_rows import call_with, correct

DAY = datetime(2026, 11, 3, 15, tzinfo=UTC)
HEAD = "date,model,requests,input_tokens,cached_tokens,output_tokens,cost\n"


@pytest.fixture
def deployment(db: None) -> Deployment:
    """A deployment with two calls on a day, and what is no call sent to it."""
    deployment, other, key = new_deployment(), new_deployment(), new_key().key
    facts: dict[str, Any] = {
        "admitted_at": DAY, "attempts": 1, "input_tokens": 100, "cached_tokens": 40, "output_tokens": 10,
        "cost_micro_usd": 1500,
    }  # fmt: skip
    ids = iter(range(1, 100))

    def call(at: Deployment, **changes: Any) -> Any:
        unix_ms = int(DAY.timestamp()) * 1000
        made = first_id_at(unix_ms).int + (key.pk.int & 0xFFFF_FFFF_FFFF) * 128 + next(ids)
        served = {"deployment_id": at.pk, "provider_id": at.provider_id}
        return call_with(key, id=type(key.pk)(int=made), **(facts | served | changes))

    call(deployment)
    late = dict.fromkeys(("input_tokens", "cached_tokens", "output_tokens", "cost_micro_usd"), 0)
    interrupted = call(deployment, status="interrupted", attempts=0, **late)
    correct(interrupted, **{name: facts[name] for name in late})
    call(deployment, status="refused", attempts=0)
    call(other)
    return deployment


def run(deployment: Deployment, folder: Path, text: str | bytes, *options: str) -> str:
    """Return what the command prints, with what it fails with at the end."""
    path, said = folder / "export.csv", StringIO()
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with suppress(CommandError):
        call_command("reconcile", deployment.provider.name, str(path), *options, stdout=said)
        return f"{said.getvalue()}exit 0"
    try:
        call_command("reconcile", deployment.provider.name, str(path), *options, stdout=StringIO())
    except CommandError as error:
        return f"{said.getvalue()}{error} exit {error.returncode}"
    raise AssertionError("It failed once and not again.")


def test_equal_counts_agree(deployment: Deployment, tmp_path: Path) -> None:
    line = f"2026-11-03,{deployment.upstream_name},2,200,80,20,0.003\n"
    assert run(deployment, tmp_path, HEAD + line) == "All of 5 figures agree.\nexit 0"


def test_differences_are_listed_and_the_exit_status_says_so(
    deployment: Deployment, tmp_path: Path
) -> None:
    name = deployment.upstream_name
    text = f"{HEAD}2026-11-03,{name},2,210,80,20,0.003\n2026-11-04,other,1,5,0,5,0\n"
    said = run(deployment, tmp_path, text)
    assert f"2026-11-03 {name} input_tokens: provider 210, ledger 200, -10\n" in said
    assert "2026-11-04 other requests: provider 1, ledger 0, -1\n" in said
    assert said.endswith("4 of 10 figures differ. exit 1")
    told = json.loads(run(deployment, tmp_path, text, "--json").partition("\n")[0])
    assert told["compared"] == 10
    assert told["differences"][0] == {
        "day": "2026-11-03", "model": name, "figure": "input_tokens", "provider": 210, "ledger": 200,
    }  # fmt: skip


def test_a_model_that_only_the_ledger_knows_is_listed(
    deployment: Deployment, tmp_path: Path
) -> None:
    said = run(deployment, tmp_path, f"{HEAD}2026-11-03,other,0,0,0,0,0\n")
    assert f"{deployment.upstream_name} requests: provider 0, ledger 2, +2" in said


@pytest.mark.parametrize(("tolerance", "status"), [("4.9", 1), ("5", 0)])
def test_a_difference_within_the_tolerance_is_none(
    deployment: Deployment, tmp_path: Path, tolerance: str, status: int
) -> None:
    line = f"2026-11-03,{deployment.upstream_name},2,190,80,20,0.003\n"
    said = run(deployment, tmp_path, HEAD + line, "--tolerance", tolerance)
    assert said.endswith(f"exit {status}")


def test_forms_that_providers_write_are_understood(deployment: Deployment, tmp_path: Path) -> None:
    start = int(DAY.replace(hour=0).timestamp())
    openai = (
        "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,model,input_tokens,"
        "output_tokens,input_cached_tokens,input_audio_tokens\r\n"
        f"{start},{start + 86400},2026-11-03T00:00:00+00:00,2026-11-04T00:00:00+00:00,p,1,M,100,10,40,0\r\n"
        f'{start},{start + 86400},2026-11-03T00:00:00+00:00,2026-11-04T00:00:00+00:00,q,1,"M",100.0,10,40,\r\n'
    )
    alias = f"M={deployment.upstream_name}"
    said = run(deployment, tmp_path, b"\xef\xbb\xbf" + openai.encode(), "--model", alias)
    assert said == "All of 4 figures agree.\nexit 0"
    own = f"Tag;x,Modell,ein,gespart\n{start},{deployment.upstream_name},120,80\n"
    columns = [
        f"--column={pair}" for pair in ("date=tag;x", "model=Modell", "input=EIN", "cached=gespart")
    ]
    said = run(deployment, tmp_path, own, *columns, "--input-excludes-cached")
    assert said == "All of 2 figures agree.\nexit 0"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no column is known as date"),
        (HEAD, "no line of usage"),
        ("date,model\n", "no column holds a figure"),
        ("date,date,model,cost\n", "two columns are named 'date'"),
        (f"{HEAD}2026-11-03,m,1\n", "Line 2: it has fewer cells"),
        (f"{HEAD}tomorrow,m,1,1,1,1,1\n", "'tomorrow' is no date"),
        (f"{HEAD}99999999999999,m,1,1,1,1,1\n", "is no date"),
        (f"{HEAD}2026-11-03,,1,1,1,1,1\n", "name has 1 to 200"),
        (f"{HEAD}2026-11-03,{'m' * 201},1,1,1,1,1\n", "name has 1 to 200"),
        (f"{HEAD}2026-11-03,m,-1,1,1,1,1\n", "'-1' is no whole number"),
        (f"{HEAD}2026-11-03,m,1e9,1,1,1,1\n", "'1e9' is no whole number"),
        (f"{HEAD}2026-11-03,m,{'9' * 16},1,1,1,1\n", "is no whole number"),
        (f"{HEAD}2026-11-03,m,=1+1,1,1,1,1\n", "'=1+1' is no whole number"),
        (f"{HEAD}2026-11-03,m,\u0661,1,1,1,1\n", "is no whole number"),
        (f"{HEAD}2026-11-03,m,1,1,1,1,NaN\n", "'NaN' is no amount"),
        (f"{HEAD}2026-11-03,m,1,1,1,1,1e999\n", "'1e999' is no amount"),
        (f'{HEAD}2026-11-03,"m,1,1,1,1,1\n', "unexpected end of data"),
        (f"{HEAD}2026-11-03,\0,1,1,1,1,1\x1b[2J\n", "is no amount"),
        (HEAD.encode() + b"2026-11-03,\xff,1,1,1,1,1\n", "it is not UTF-8"),
        (HEAD.encode() + b"x" * (LINE_BYTES_MAX + 1), "it is longer than"),
        (f"{HEAD}2020-01-01,m,1,1,1,1,1\n2026-11-03,m,1,1,1,1,1\n", "at most 400 days"),
        ("start,end,model,cost\n2026-11-01,2026-11-03,m,1\n", "spans more than one day"),
        ("start,end,model,cost\n2026-11-02,2026-11-01,m,1\n", "spans more than one day"),
    ],
)
def test_a_file_that_cannot_be_compared_is_refused_with_its_line(
    deployment: Deployment, tmp_path: Path, text: str | bytes, told: str
) -> None:
    said = run(deployment, tmp_path, text)
    assert told in said
    assert said.endswith("exit 2")
    assert said.isprintable()


def test_a_hostile_name_neither_moves_the_terminal_nor_is_a_formula(
    deployment: Deployment, tmp_path: Path
) -> None:
    said = run(deployment, tmp_path, f'{HEAD}2026-11-03,"=cmd()\x1b[2J\n2026",1,0,0,0,0\n')
    assert "2026-11-03 '=cmd()?[2J?2026 requests: provider 1" in said
    assert "\x1b" not in said


def test_a_file_without_an_end_is_refused_in_little_memory() -> None:
    class Endless(BytesIO):
        def readline(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert 0 < size <= LINE_BYTES_MAX + 1
            return b"x" * size

    tracemalloc.start()
    with pytest.raises(Unreadable):
        read_export(Endless(), {})
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@given(st.binary(max_size=300), st.booleans())
def test_no_file_does_anything_but_be_read_or_refused(tail: bytes, is_headed: bool) -> None:
    with suppress(Unreadable):
        read_export(BytesIO(HEAD.encode() * is_headed + tail), {})


def test_what_is_not_there_is_said(deployment: Deployment, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No provider"):
        call_command("reconcile", "nobody", str(tmp_path / "x"))
    with pytest.raises(CommandError, match="No such file"):
        call_command("reconcile", deployment.provider.name, str(tmp_path / "x"))
    with pytest.raises(CommandError, match="--column colour"):
        call_command("reconcile", deployment.provider.name, "x", "--column=colour=red")
