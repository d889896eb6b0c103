"""The head of a call: one credential, one form, one meaning."""

from typing import Any

import pytest

from accounts.credential import make_credential
from portal.lib.ids import new_call_id
from proxy.call import CallKind
from proxy.errors import Refusal
from proxy.exchange import Head
from proxy.parse import HEADER_VALUE_MAX, parse_head, read_fields

KEY = make_credential().text.encode()
BEARER = (b"authorization", b"Bearer " + KEY)
PLAIN = (b"x-api-key", KEY)
JSON = (b"content-type", b"application/json")


def read(*headers: tuple[bytes, bytes], **facts: Any) -> Head:
    call_id, request_id = new_call_id()
    defaults: dict[str, Any] = {
        "connection": "192.0.2.1",
        "trusted_hops": 0,
        "call_id": call_id,
        "request_id": request_id,
        "started_ns": 1,
    }
    kind = facts.pop("kind", CallKind.CHAT)
    return parse_head(kind, read_fields(headers), **(defaults | facts))


@pytest.mark.parametrize(
    "headers",
    [
        [BEARER],
        [PLAIN],
        [BEARER, PLAIN],
        [(b"authorization", b"bearer " + KEY)],
        [(b"authorization", b"BEARER   " + KEY + b" ")],
        [BEARER, (b"api-key", b"other"), (b"cookie", b"x-api-key=other")],
    ],
)
def test_every_carrier_gives_the_same_credential(headers: list[tuple[bytes, bytes]]) -> None:
    assert read(*headers, JSON).credential == KEY.decode()


REFUSED: list[tuple[list[tuple[bytes, bytes]], str]] = [
    ([JSON], "missing_credential"),
    ([JSON, (b"cookie", KEY)], "missing_credential"),
    ([JSON, (b"authorization", b"")], "invalid_credential"),
    ([JSON, (b"authorization", KEY)], "invalid_credential"),
    ([JSON, (b"authorization", b"Basic " + KEY)], "invalid_credential"),
    ([JSON, (b"authorization", b"Bearer\t" + KEY)], "invalid_credential"),
    ([JSON, (b"authorization", b"Basic x"), PLAIN], "invalid_credential"),
    ([JSON, BEARER, (b"x-api-key", b"other")], "invalid_credential"),
    ([JSON, BEARER, (b"x-api-key", b"")], "invalid_credential"),
    ([JSON, BEARER, BEARER], "malformed_request"),
    ([JSON, PLAIN, PLAIN], "malformed_request"),
    ([JSON, JSON, BEARER], "malformed_request"),
    ([JSON, BEARER, *[(b"content-length", b"1")] * 2], "malformed_request"),
    ([JSON, BEARER, *[(b"transfer-encoding", b"chunked")] * 2], "malformed_request"),
    ([JSON, BEARER, (b"x-long", b"a" * (HEADER_VALUE_MAX + 1))], "malformed_request"),
    ([BEARER], "wrong_content_type"),
    ([BEARER, (b"content-type", b"")], "wrong_content_type"),
    ([BEARER, (b"content-type", b"text/json")], "wrong_content_type"),
    ([BEARER, (b"content-type", b"application/json; charset=latin-1")], "wrong_content_type"),
    ([BEARER, (b"content-type", b"application/json, text/html")], "wrong_content_type"),
    ([BEARER, JSON, (b"content-encoding", b"gzip")], "compressed_body"),
    ([BEARER, JSON, (b"content-encoding", b"identity, gzip")], "compressed_body"),
]


@pytest.mark.parametrize(("headers", "code"), REFUSED)
def test_what_has_no_one_meaning_is_refused(headers: list[tuple[bytes, bytes]], code: str) -> None:
    with pytest.raises(Refusal) as refused:
        read(*headers)
    assert refused.value.code.code == code
    assert KEY.decode() not in refused.value.body().decode() + refused.value.detail


@pytest.mark.parametrize(
    "media_type",
    [b"application/json", b"Application/JSON", b"application/json;charset=UTF-8",
     b'application/json; charset="utf-8"', b" application/json "],
)  # fmt: skip
def test_json_is_taken_however_it_is_named(media_type: bytes) -> None:
    assert read(BEARER, (b"content-type", media_type)).kind is CallKind.CHAT


def test_a_query_is_refused_even_with_a_key() -> None:
    with pytest.raises(Refusal) as refused:
        read(BEARER, JSON, query=b"model=other")
    assert refused.value.code.code == "query_not_accepted"


def test_a_list_of_models_needs_no_media_type() -> None:
    assert read(BEARER, kind=CallKind.MODELS).credential == KEY.decode()


@pytest.mark.parametrize(
    ("hops", "forwarded", "peer"),
    [
        (0, [], "192.0.2.1"),
        (0, [b"203.0.113.9"], "192.0.2.1"),
        (1, [b"203.0.113.9"], "203.0.113.9"),
        (1, [b"198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        (1, [b"198.51.100.1", b"203.0.113.9"], "203.0.113.9"),
        (2, [b"198.51.100.1", b"203.0.113.9"], "198.51.100.1"),
        (1, [], ""),
        (2, [b"203.0.113.9"], ""),
        (1, [b"not an address"], ""),
        (1, [b"::ffff:203.0.113.9"], "203.0.113.9"),
    ],
)
def test_the_peer_is_who_the_trusted_hops_saw(hops: int, forwarded: list[bytes], peer: str) -> None:
    headers = [(b"x-forwarded-for", value) for value in forwarded]
    others = [(b"forwarded", b"for=10.0.0.1"), (b"x-real-ip", b"10.0.0.1")]
    assert read(BEARER, JSON, *headers, *others, trusted_hops=hops).peer == peer
