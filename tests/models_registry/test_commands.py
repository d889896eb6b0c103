import datetime
import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django.fixtures import Settings

from models_registry.models import (
    AiModel,
    Grant,
    KeyModel,
    LimitMeasure,
    LimitPeriod,
    ModelStatus,
    Provider,
    Visibility,
)
from models_registry.writes.providers import open_credential
from portal.lib.clock import utc_now
from portal.lib.networks import NetworkPolicy
from tests.accounts.rows import REASON, new_account, new_name, new_team
from tests.models_registry.rows import new_limit, new_model, new_provider
from tests.portal.lib.test_checked_http import Server, serve

pytestmark = pytest.mark.django_db
SECRET = "sk-upstream-canary-0123456789"
BODY = b'{"data":[{"id":"one"},{"id":"two"}]}'
LIST = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(BODY), BODY)


def run(*arguments: str) -> str:
    out, err = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue() + err.getvalue()


def refuse(*arguments: str) -> str:
    with pytest.raises(CommandError) as refused:
        run(*arguments)
    return str(refused.value)


def url_of(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


@pytest.mark.parametrize("source", ["environment", "file", "none"])
def test_provider_is_added_and_its_models_are_listed(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTREAM_KEY", f"{SECRET}\n")
    file = tmp_path / "key"
    file.write_text(f"{SECRET}\n")
    given = {"environment": "UPSTREAM_KEY", "file": str(file)}.get(source)
    name = new_name("provider")
    with serve(LIST) as server:
        out = run("add_provider", name, url_of(server), *(["--key-from", given] if given else []))
    expected = "" if source == "none" else SECRET
    assert open_credential(Provider.objects.get(name=name)) == expected
    assert (b"Bearer " + SECRET.encode() in server.heads[0]) == bool(expected)
    assert out.split()[-2:] == ["one", "two"]
    assert SECRET not in out


@pytest.mark.parametrize("given", ["UNSET", "/nonexistent/key", "/", "EMPTY", "BLANK", SECRET])
def test_key_that_cannot_be_read_is_refused_without_being_repeated(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    monkeypatch.setenv("BLANK", " ")
    name = new_name("provider")
    with serve(LIST) as server:
        told = refuse(
            "add_provider",
            name,
            url_of(server),
            "--key-from",
            str(empty) if given == "EMPTY" else given,
        )
    assert "--key-from" in told
    assert ("blank" in told) == (given in ("EMPTY", "BLANK"))
    assert SECRET not in told
    assert server.heads == []


def test_silent_provider_is_not_added() -> None:
    name = new_name("provider")
    for url in ("http://127.0.0.1:9/v1", "http://127.0.0.1:9"):
        assert "could not be reached" in refuse("add_provider", name, url)
    with serve(b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n") as server:
        assert "answered 404" in refuse("add_provider", name, url_of(server))
    assert not Provider.objects.filter(name=name).exists()


def test_credential_is_sent_to_no_address_that_is_refused(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setenv("UPSTREAM_KEY", SECRET)
    with serve(LIST) as server:
        bad = f"http://user@127.0.0.1:{server.port}"
        assert "base_url: " in refuse("add_provider", "p", bad, "--key-from", "UPSTREAM_KEY")
        settings.LATCHKEY_PROVIDER_NETWORKS = NetworkPolicy.parse("public")
        told = refuse("add_provider", "p", url_of(server), "--key-from", "UPSTREAM_KEY")
        assert "LATCHKEY_PROVIDER_NETWORKS" in told
    assert server.heads == []
    assert not connection.needs_rollback


def add_model(provider: str, name: str, *more: str) -> list[str]:
    base = ["add_model", name, "--kind", "chat", "--provider", provider, "--context", "4096"]
    return [*base, "--max-output", "512", *more]


def test_model_is_added_with_prices_and_published() -> None:
    provider, name = new_provider().name, new_name("model")
    prices = ("--price-input", "0.15", "--price-output", "2", "--price-audio-output", "0")
    run(*add_model(provider, name, *prices))
    model = AiModel.objects.get(name=name)
    assert (model.price_input, model.price_output) == (150_000, 2_000_000)
    assert (model.price_reasoning, model.price_audio_input, model.price_audio_output) == (
        None,
        None,
        0,
    )
    assert model.status == ModelStatus.PUBLISHED
    assert model.deployments.get().upstream_name == name


def test_model_is_added_with_an_owner_and_for_whoever_was_granted_it() -> None:
    owner, provider, name = new_team(), new_provider().name, new_name("model")
    more = ("--owner", owner.slug, "--visibility", "granted")
    run(*add_model(provider, name, *more))
    model = AiModel.objects.get(name=name)
    assert (model.owner, model.visibility) == (owner, Visibility.GRANTED)


def test_draft_stays_a_draft_under_the_providers_name() -> None:
    provider, name = new_provider().name, new_name("model")
    assert "draft" in run(*add_model(provider, name, "--draft", "--upstream-name", "org/x"))
    model = AiModel.objects.get(name=name)
    assert model.status == ModelStatus.DRAFT
    assert model.deployments.get().upstream_name == "org/x"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["--provider", "nobody"], "No provider"),
        (["--context", "0"], "context_tokens: "),
        (["--max-output", "0"], "max_output_tokens: "),
        (["--price-input", "cheap"], "not a number"),
        (["--price-input", "NaN"], "whole micro-USD"),
        (["--price-input", "Infinity"], "whole micro-USD"),
        (["--price-input", "-1"], "whole micro-USD"),
        (["--price-input", "0.0000001"], "whole micro-USD"),
        (["--price-input", "1e30"], "price_input: "),
        (["--kind", "video"], "--kind"),
        (["--hang-up", "wait"], "--hang-up"),
        (["--owner", "nobody"], "--owner: "),
        (["--visibility", "nobody"], "--visibility"),
    ],
)
def test_refused_model_leaves_nothing(changes: list[str], told: str) -> None:
    provider, name = new_provider().name, new_name("model")
    assert told in refuse(*add_model(provider, name), *changes)
    assert not AiModel.objects.filter(name=name).exists()


def test_model_is_granted_to_a_team_or_to_one_account() -> None:
    account, model = new_account(), new_model()
    base = ["grant_model", model.name, account.team.slug, "--scope", "chat"]
    run(*base)
    run(*base, "--service-account", account.name, "--days", "1")
    assert Grant.objects.filter(team=account.team, model=model).count() == 1
    assert Grant.objects.filter(service_account=account, model=model).count() == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["--days", "0"], "ends_at: "),
        (["--days", "999999999999"], "--days: "),
        (["--starts-in-days", "999999999999"], "--starts-in-days: "),
        (["--starts-in-days", "91"], "ends_at: "),
        (["--service-account", "nobody"], "ServiceAccount"),
        (["--scope", "images"], "--scope"),
    ],
)
def test_refused_grant_is_not_made(changes: list[str], told: str) -> None:
    account, model = new_account(), new_model()
    assert told in refuse("grant_model", model.name, account.team.slug, "--scope", "chat", *changes)
    assert "AiModel" in refuse("grant_model", "nothing", account.team.slug, "--scope", "chat")
    assert "Team" in refuse("grant_model", model.name, "nobody", "--scope", "chat")
    assert not Grant.objects.filter(model=model).exists()


def test_grant_begins_when_it_is_told_to() -> None:
    account, model = new_account(), new_model()
    command = ["grant_model", model.name, account.team.slug, "--scope", "chat"]
    assert " from " in run(*command, "--starts-in-days", "2", "--days", "9")
    grant = Grant.objects.get(model=model)
    assert grant.starts_at - utc_now() > datetime.timedelta(days=1, hours=23)
    assert grant.ends_at - grant.starts_at > datetime.timedelta(days=6, hours=23)


@pytest.mark.parametrize("to_account", [False, True])
def test_grants_of_one_holder_are_ended_and_no_others(to_account: bool) -> None:
    account, model = new_account(), new_model()
    base = [model.name, account.team.slug]
    alone = ["--service-account", account.name]
    for holder in ([], [], alone):
        run("grant_model", *base, "--scope", "chat", *holder)
    ended = alone if to_account else []
    run("end_grant", *base, "--reason", REASON, *ended)
    live = Grant.objects.filter(model=model, ends_at__gt=utc_now())
    assert {grant.service_account for grant in live} == ({None} if to_account else {account})
    assert live.count() == (2 if to_account else 1)
    assert "no grant" in refuse("end_grant", *base, "--reason", REASON, *ended)


def test_grant_is_not_ended_without_a_reason() -> None:
    account, model = new_account(), new_model()
    run("grant_model", model.name, account.team.slug, "--scope", "chat")
    assert "reason: " in refuse("end_grant", model.name, account.team.slug, "--reason", " ")
    assert "--reason" in refuse("end_grant", model.name, account.team.slug)
    assert Grant.objects.filter(model=model, ends_at__gt=utc_now()).exists()


def test_model_is_moved_along_its_life() -> None:
    model = new_model()
    run("set_model_status", model.name, "published")
    run("set_model_status", model.name, "deprecated", "--sunset-days", "30")
    model.refresh_from_db()
    assert model.status == ModelStatus.DEPRECATED
    assert model.sunset_at is not None
    assert model.sunset_at > utc_now()
    assert "retired" in run("set_model_status", model.name, "retired")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["draft"], "status: "),
        (["banned"], "status"),
        (["published", "--sunset-days", "3"], "sunset_at: "),
        (["published", "--sunset-days", "999999999999"], "--sunset-days: "),
    ],
)
def test_step_that_a_models_life_does_not_have_is_refused(arguments: list[str], told: str) -> None:
    model = new_model()
    assert told in refuse("set_model_status", model.name, *arguments)
    assert "No model" in refuse("set_model_status", "nothing", "retired")
    model.refresh_from_db()
    assert model.status == ModelStatus.DRAFT


def test_key_of_the_command_line_is_labelled_and_narrowed() -> None:
    account, models = new_account(), [new_model(), new_model()]
    issue = ["issue_key", account.team.slug, "--service-account", account.name]
    issue += ["--name", "First", "--scope", "chat"]
    assert "AiModel" in refuse(*issue, "--model", models[0].name, "--model", "nothing")
    assert not account.team.keys.exists()
    named = [part for model in models for part in ("--model", model.name)]
    run(*issue, *named, "--tag", "batch", "--tag", "night", "--cost-centre", "4711")
    key = account.team.keys.get()
    assert (key.tags, key.cost_centre, key.is_narrowed) == (["batch", "night"], "4711", True)
    assert set(KeyModel.objects.filter(key=key).values_list("model", flat=True)) == {
        model.pk for model in models
    }


@pytest.mark.parametrize("of", ["team", "account"])
def test_key_of_the_command_line_is_no_looser_in_a_minute_than_a_limit_above_it(of: str) -> None:
    account = new_account()
    above = {"service_account": account} if of == "account" else {"team": account.team}
    new_limit(LimitMeasure.REQUESTS, LimitPeriod.MINUTE, 10, **above)
    issue = ["issue_key", account.team.slug, "--service-account", account.name]
    issue += ["--name", "First", "--scope", "chat", "--requests-per-minute"]
    assert "requests_per_minute: At most 10" in refuse(*issue, "11")
    assert not account.team.keys.exists()
    run(*issue, "10")
    assert account.team.keys.get().requests_per_minute == 10
