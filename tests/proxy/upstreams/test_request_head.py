import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.upstreams.request_head import HeadStart
from tests.proxy.upstreams.conftest import Run, client_of
from tests.proxy.upstreams.raw_server import OK, Peer, answering, serve
from tests.proxy.upstreams.sending import post


def test_a_request_is_exactly_what_was_asked_for(run: Run) -> None:
    async def scenario() -> None:
        seen = []

        async def script(peer: Peer) -> None:
            # One read: head and small body leave in one write.
            seen.append(await peer.reader.read(65536))
            await peer.write(OK)
            await peer.wait_closed(within_s=5)

        async with client_of() as client, serve(script) as server:
            await post(client, server.origin, b"{}", headers=[(b"X-One", b"a b\xff")])
            assert seen == [
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n"
                b"X-One: a b\xff\r\ncontent-length: 2\r\n\r\n{}" % server.port
            ]

    run(scenario())


def test_an_empty_body_is_announced_as_empty(run: Run) -> None:
    async def scenario() -> None:
        seen = []

        async def script(peer: Peer) -> None:
            seen.append(await peer.read_request())
            await peer.write(OK)

        async with client_of() as client, serve(script) as server:
            await post(client, server.origin, b"", method=b"GET")
        assert b"\r\ncontent-length: 0\r\n" in seen[0]

    run(scenario())


def test_proxies_of_the_environment_are_not_used(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def scenario() -> None:
        async with client_of() as client, serve(answering(OK)) as server:
            assert (await post(client, server.origin)).status == 200

    run(scenario())


TARGETS = [
    b"",
    b"v1",
    b"/a b",
    b"/a\r\nx: y",
    b"/a\n",
    b"/a\0",
    b"/a\t",
    b"/\xc3\xa9",
    b"/a#b",
    b"*",
]
TARGETS += [b"http://other/", b"/a\x7f", b"/a HTTP/1.1\r\n\r\nGET /b"]
NAMES = [b"", b"a b", b"a:", b"a\r\nb", b"a\0", b"\xc3\xa9", b"a\n", b"(", b'"']
OURS = [b"Host", b"CONTENT-LENGTH", b"transfer-encoding", b"Accept-Encoding", b"connection"]
OURS += [b"te", b"Upgrade", b"expect", b"trailer", b"keep-alive", b"proxy-authorization"]
VALUES = [b"a\r\nb: c", b"a\n", b"a\r", b"a\0b", b"\x01", b"\x7f", b"\r\n\r\nGET / HTTP/1.1"]
METHODS = [b"", b"get", b"HEAD", b"CONNECT", b"TRACE", b"POST /x HTTP/1.1\r\n", b"POST "]


@pytest.mark.parametrize(
    "fault",
    [{"target": target} for target in TARGETS]
    + [{"headers": [(b"x-good", b"1"), (name, b"v")]} for name in NAMES + OURS]
    + [{"headers": [(b"x", value), (b"x-good", b"1")]} for value in VALUES]
    + [{"method": method} for method in METHODS],
)
def test_an_injection_is_refused_before_a_byte_is_sent(run: Run, fault: dict[str, object]) -> None:
    async def scenario() -> None:
        async with client_of() as client, serve(answering(OK)) as server:
            with pytest.raises(ValueError, match=r"."):
                await post(client, server.origin, **fault)  # type: ignore[arg-type]
            assert server.peers == []
            # The same call without the fault goes through.
            assert (await post(client, server.origin)).status == 200

    run(scenario())


@given(
    target=st.binary(max_size=20).map(b"/".__add__),
    headers=st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=12)), max_size=4),
    split=st.integers(0, 4),
)
def test_every_accepted_request_has_exactly_its_own_lines(
    target: bytes, headers: list[tuple[bytes, bytes]], split: int
) -> None:
    try:
        start = HeadStart(b"host", method=b"POST", target=target, headers=headers[:split])
        head = start.complete(headers[split:], body_bytes=3)
    except ValueError:
        return
    assert head.split(b"\r\n") == [
        b"POST %b HTTP/1.1" % target,
        b"host: host",
        *[b"%b: %b" % header for header in headers],
        b"content-length: 3",
        b"",
        b"",
    ]
