import secrets
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from portal.lib.env import DATA_CLASSES, Environment, parse_keys

ACCEPTS = "what the test says"
RANDOM = secrets.token_urlsafe(48)
HEX = secrets.token_hex(32)


def read_secret(value: str | None) -> Environment:
    env = Environment({} if value is None else {"NAME": value})
    env.secret("NAME", accepts=ACCEPTS, min_length=50)
    return env


def read_keys(value: str) -> Environment:
    env = Environment({"NAME": value})
    env.keys("NAME", accepts=ACCEPTS)
    return env


WEAK_SECRETS = {
    "missing": None,
    "empty": "",
    "spaces": " " * 60,
    "short": RANDOM[:49],
    "placeholder": "changeme-" + RANDOM,
    "django's default": "django-insecure-" + RANDOM,
    "repeated": "abcabc" * 20,
}
WEAK_KEYS = {
    "empty": "",
    "no id": HEX,
    "empty id": f":{HEX}",
    "id in capitals": f"P1:{HEX}",
    "short": f"p1:{HEX[:-2]}",
    "long": f"p1:{HEX}00",
    "not hexadecimal": f"p1:{'zz' * 32}",
    "zeros": f"p1:{'00' * 32}",
    "one byte": f"p1:{'ab' * 32}",
    "counting": f"p1:{bytes(range(32)).hex()}",
    "keyboard": f"p1:{'0123456789abcdef' * 4}",
    "repeated half": f"p1:{HEX[:32] * 2}",
    "id twice": f"p1:{HEX},p1:{secrets.token_hex(32)}",
    "second short": f"p1:{HEX},p2:abcd",
    "ends in a comma": f"p1:{HEX},",
}


@pytest.mark.parametrize("value", WEAK_SECRETS.values(), ids=WEAK_SECRETS)
def test_weak_secret_is_a_fault_that_names_the_variable(value: str | None) -> None:
    env = read_secret(value)
    with pytest.raises(ImproperlyConfigured, match="NAME") as refused:
        env.refuse_faults()
    assert not value or not value.strip() or value not in str(refused.value)


@pytest.mark.parametrize("value", WEAK_KEYS.values(), ids=WEAK_KEYS)
def test_weak_keys_are_a_fault_that_never_quotes_one(value: str) -> None:
    env = read_keys(value)
    with pytest.raises(ImproperlyConfigured, match="NAME") as refused:
        env.refuse_faults()
    assert HEX not in str(refused.value)
    assert HEX[:-2] not in str(refused.value)


def test_strong_values_are_no_fault() -> None:
    read_secret(RANDOM).refuse_faults()
    read_keys(f"p2:{HEX},p1:{secrets.token_hex(32)}").refuse_faults()


def test_keys_keep_their_order() -> None:
    assert list(parse_keys(f"b:{HEX},a:{secrets.token_hex(32)}")) == ["b", "a"]


@given(st.binary(min_size=32, max_size=32), st.from_regex(r"[a-z0-9]{1,16}", fullmatch=True))
def test_keys_are_read_or_refused_without_being_quoted(key: bytes, key_id: str) -> None:
    told = ""
    try:
        parsed = parse_keys(f"{key_id}:{key.hex()}")
    except ValueError as refused:
        told = str(refused)
    else:
        assert parsed == {key_id: key}
    assert key.hex() not in told


def test_every_fault_is_told_at_once() -> None:
    env = Environment({"KEYS": "", "HOSTS": " , "})
    env.keys("KEYS", accepts=ACCEPTS)
    env.names("HOSTS", accepts=ACCEPTS)
    env.text("FOLDER", accepts=ACCEPTS)
    with pytest.raises(ImproperlyConfigured) as refused:
        env.refuse_faults()
    assert all(name in str(refused.value) for name in ("KEYS", "HOSTS", "FOLDER"))


SECRET_VALUE = "CanaryValue"
FAULTY = {
    "text": ("", lambda env: env.text("NAME", accepts=ACCEPTS)),
    "names": ("", lambda env: env.names("NAME", accepts=ACCEPTS)),
    "flag": (SECRET_VALUE, lambda env: env.flag("NAME", accepts=ACCEPTS)),
    "number": (
        SECRET_VALUE,
        lambda env: env.number("NAME", accepts=ACCEPTS, default=1, minimum=0),
    ),
    "not a number": (
        "nan",
        lambda env: env.number("NAME", accepts=ACCEPTS, default=1, minimum=0),
    ),
    "endless": ("inf", lambda env: env.number("NAME", accepts=ACCEPTS, default=1, minimum=0)),
    "below": ("-1", lambda env: env.number("NAME", accepts=ACCEPTS, default=1, minimum=0)),
    "whole": ("1.5", lambda env: env.whole("NAME", accepts=ACCEPTS, default=1, minimum=0)),
    "size": (SECRET_VALUE, lambda env: env.size_bytes("NAME", accepts=ACCEPTS, default="1MiB")),
    "no size": ("0", lambda env: env.size_bytes("NAME", accepts=ACCEPTS, default="1MiB")),
    "negative size": ("-1MiB", lambda env: env.size_bytes("NAME", accepts=ACCEPTS, default="1MiB")),
    "choice": (SECRET_VALUE, lambda env: env.choice("NAME", ("a", "b"), default="a")),
    "base url": (
        f"https://x:{SECRET_VALUE}@host",
        lambda env: env.base_url("NAME", accepts=ACCEPTS),
    ),
    "base url with a path": ("https://h/x", lambda env: env.base_url("NAME", accepts=ACCEPTS)),
    "base url that parsers read differently": (
        f"http://{SECRET_VALUE}.0x7f.1",
        lambda env: env.base_url("NAME", accepts=ACCEPTS),
    ),
    "base url of no host": ("https://", lambda env: env.base_url("NAME", accepts=ACCEPTS)),
    "empty database": ("", lambda env: env.database_url("NAME", accepts=ACCEPTS)),
    "other database": (
        f"mysql://u:{SECRET_VALUE}@h/d",
        lambda env: env.database_url("NAME", accepts=ACCEPTS),
    ),
    "broken database": (
        f"postgresql://u:{SECRET_VALUE}-{SECRET_VALUE}@h:port:1/d?x=%zz",
        lambda env: env.database_url("NAME", accepts=ACCEPTS),
    ),
    "database without a role": (
        "postgresql://h/d",
        lambda env: env.database_url("NAME", accepts=ACCEPTS),
    ),
    "database with a short password": (
        f"postgresql://u:{SECRET_VALUE}@h/d",
        lambda env: env.database_url("NAME", accepts=ACCEPTS),
    ),
    "database with a placeholder": (
        f"postgresql://u:changeme{SECRET_VALUE}@h/d",
        lambda env: env.database_url("NAME", accepts=ACCEPTS),
    ),
    "store with an empty password": (
        "redis://:@h/0",
        lambda env: env.store_url("NAME", accepts=ACCEPTS),
    ),
    "store with a short password": (
        f"redis://:{SECRET_VALUE}@h/0",
        lambda env: env.store_url("NAME", accepts=ACCEPTS),
    ),
    "store with a short password in its query": (
        f"unix:///run/valkey.sock?db=1&password={SECRET_VALUE}",
        lambda env: env.store_url("NAME", accepts=ACCEPTS),
    ),
    "store with an empty password in its query": (
        f"redis://:{RANDOM}@h/0?password=",
        lambda env: env.store_url("NAME", accepts=ACCEPTS),
    ),
    "store at no port": ("redis://h:99999/0", lambda env: env.store_url("NAME", accepts=ACCEPTS)),
    "other store": (
        f"http://:{SECRET_VALUE}@h/0",
        lambda env: env.store_url("NAME", accepts=ACCEPTS),
    ),
}


@pytest.mark.parametrize("case", FAULTY.values(), ids=FAULTY)
def test_faulty_value_is_named_and_not_quoted(case: tuple[str, object]) -> None:
    value, read = case
    assert callable(read)
    env = Environment({"NAME": value})
    read(env)
    assert len(env.faults) == 1
    assert env.faults[0].startswith("NAME: ")
    assert SECRET_VALUE not in env.faults[0]


def test_good_values_are_read_and_declared() -> None:
    env = Environment(
        {
            "DATABASE": f"postgresql://u:{RANDOM}@h:5433/d?sslmode=require",
            "STORE": f"redis://:{RANDOM}@h/1",
            "QUERY_STORE": f"redis://h/1?password={RANDOM}",
            "OPEN_STORE": "unix:///run/valkey.sock?db=1",
            "URL": "https://models.corp:8443/",
            "SIZE": "3 KiB",
            "HOSTS": "a, b",
            "FLAG": "1",
        }
    )
    assert env.database_url("DATABASE", accepts=ACCEPTS).startswith("postgresql://")
    assert env.database_url("OTHER", accepts=ACCEPTS, default="") == ""
    assert env.store_url("STORE", accepts=ACCEPTS)
    assert env.store_url("QUERY_STORE", accepts=ACCEPTS)
    assert env.store_url("OPEN_STORE", accepts=ACCEPTS)
    assert env.base_url("URL", accepts=ACCEPTS) == "https://models.corp:8443"
    assert env.size_bytes("SIZE", accepts=ACCEPTS, default="1B") == 3072
    assert env.names("HOSTS", accepts=ACCEPTS) == ("a", "b")
    assert env.flag("FLAG", accepts=ACCEPTS)
    assert env.whole("UNSET", accepts=ACCEPTS, default=7, minimum=0) == 7
    env.refuse_faults()
    assert env.declared["DATABASE"].secret
    assert env.declared["DATABASE"].default == ""


def test_secret_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{RANDOM}\n")
    env = Environment({"NAME_FILE": str(file)})
    assert env.secret("NAME", accepts=ACCEPTS, min_length=50) == RANDOM
    env.refuse_faults()


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"], ids=["absent", "empty", "not text"])
def test_file_without_a_secret_is_a_fault(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    env = Environment({"NAME_FILE": str(file)})
    env.secret("NAME", accepts=ACCEPTS, min_length=50)
    assert [fault.partition(":")[0] for fault in env.faults] == ["NAME"]


@pytest.mark.parametrize("given", ["HTTPS://Models.Corp", "https://models.corp:443/"])
def test_base_url_is_kept_in_the_form_that_browsers_send(given: str) -> None:
    env = Environment({"URL": given})
    assert env.base_url("URL", accepts=ACCEPTS) == "https://models.corp"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("never", {}),
        ("90", dict.fromkeys(DATA_CLASSES, 90)),
        ("confidential=90, secret=30", {"confidential": 90, "secret": 30}),
    ],
)
def test_days_are_read_by_class_of_data(value: str, read: dict[str, int]) -> None:
    env = Environment({"NAME": value})
    assert env.days_by_class("NAME", accepts=ACCEPTS, default="never") == read
    env.refuse_faults()


@pytest.mark.parametrize(
    "value", ["", "6", "3651", "1.5", "x", "-90", "secret=6", "top=90", "secret=9,secret=9", "=9"]
)
def test_days_that_make_no_sense_are_a_fault(value: str) -> None:
    env = Environment({"NAME": value})
    env.days_by_class("NAME", accepts=ACCEPTS, default="never")
    with pytest.raises(ImproperlyConfigured, match="NAME"):
        env.refuse_faults()
