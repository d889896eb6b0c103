"""Which address a name may lead to, and that the connection goes there and nowhere else."""

import asyncio
from collections.abc import Callable

import pytest

from portal.lib.networks import NetworkPolicy
from portal.lib.origin import Origin
from proxy.upstreams.client import Timeouts
from proxy.upstreams.dialer import Resolve
from proxy.upstreams.failures import AddressRefused, ConnectFailed, ConnectTimeout, UpstreamFailure
from tests.proxy.upstreams.conftest import Run, client_of
from tests.proxy.upstreams.raw_server import OK, Peer, answering, serve
from tests.proxy.upstreams.sending import post

EVERYTHING = NetworkPolicy.parse("0.0.0.0/0,::/0,public")


def resolving(*answers: list[str]) -> tuple[Resolve, list[str]]:
    """A resolver that gives these answers in turn, and the names it was asked for."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return resolve, asked


def failing(error: Exception) -> Resolve:
    async def resolve(host: str, port: int) -> list[str]:
        raise error

    return resolve


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "0.0.0.0",  # noqa: S104 - an address to refuse.
        "::",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "fd00:ec2::254",
        "fe80::1",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "2002:7f00:1::",
    ],
)
@pytest.mark.parametrize("by_name", [True, False], ids=["name", "literal"])
def test_addresses_that_no_setting_opens_are_refused(
    run: Run, address: str, *, by_name: bool
) -> None:
    async def scenario() -> None:
        resolve, _ = resolving([address])
        host = "upstream.test" if by_name else address
        async with client_of(networks=EVERYTHING, resolve=resolve) as client:
            with pytest.raises(AddressRefused):
                await post(client, Origin("http", host, 80))

    run(scenario())


def test_a_private_address_needs_its_network_listed(run: Run) -> None:
    async def scenario() -> None:
        async with serve(answering(OK)) as server:
            for text, error in (("127.0.0.0/8", None), ("public,10.0.0.0/8", AddressRefused)):
                async with client_of(networks=NetworkPolicy.parse(text)) as client:
                    if error is None:
                        assert (await post(client, server.origin)).status == 200
                    else:
                        with pytest.raises(error):
                            await post(client, server.origin)
            assert len(server.peers) == 1

    run(scenario())


def test_a_name_is_looked_up_once_and_the_checked_address_is_the_one_connected_to(run: Run) -> None:
    async def scenario() -> None:
        hosts = []

        async def script(peer: Peer) -> None:
            hosts.append(await peer.read_request())
            await peer.write(OK)

        # A rebinding name: harmless when checked, the metadata service when asked again.
        resolve, asked = resolving(["127.0.0.1"], ["169.254.169.254"])
        async with client_of(resolve=resolve) as client, serve(script) as server:
            origin = Origin("http", "rebind.test", server.port)
            assert (await post(client, origin)).status == 200
            assert asked == ["rebind.test"]
            assert b"\r\nhost: rebind.test:%d\r\n" % server.port in hosts[0]
            await asyncio.sleep(0.05)
            with pytest.raises(AddressRefused):
                await post(client, origin)
            assert len(server.peers) == 1

    run(scenario())


def test_a_refused_address_beside_an_allowed_one_is_never_connected_to(run: Run) -> None:
    async def scenario() -> None:
        resolve, _ = resolving(["127.0.0.2", "127.0.0.1"])
        policy = NetworkPolicy.parse("127.0.0.1/32")
        async with (
            client_of(networks=policy, resolve=resolve) as client,
            serve(answering(OK)) as server,
        ):
            origin = Origin("http", "two.test", server.port)
            assert (await post(client, origin)).status == 200

    run(scenario())


def test_an_address_that_does_not_answer_gives_way_to_the_next(run: Run) -> None:
    async def scenario() -> None:
        # The server listens on the second only.
        resolve, _ = resolving(["::1", "127.0.0.1"])
        policy = NetworkPolicy.parse("127.0.0.0/8,::1/128")
        async with (
            client_of(networks=policy, resolve=resolve) as client,
            serve(answering(OK)) as server,
        ):
            assert (await post(client, Origin("http", "two.test", server.port))).status == 200

    run(scenario())


def test_concurrent_calls_share_one_look_up_and_survive_each_others_cancellation(run: Run) -> None:
    async def scenario() -> None:
        asked = 0

        async def resolve(host: str, port: int) -> list[str]:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0.05)
            return ["127.0.0.1"]

        async with client_of(resolve=resolve) as client, serve(answering(OK)) as server:
            origin = Origin("http", "slow.test", server.port)
            calls = [asyncio.ensure_future(post(client, origin)) for _ in range(5)]
            await asyncio.sleep(0.01)
            calls[0].cancel()
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert isinstance(answers[0], asyncio.CancelledError)
            assert [getattr(answer, "status", None) for answer in answers[1:]] == [200] * 4
            assert asked == 1

    run(scenario())


def slow_resolver() -> Resolve:
    async def resolve(host: str, port: int) -> list[str]:
        await asyncio.sleep(0.5)
        return ["127.0.0.1"]

    return resolve


@pytest.mark.parametrize(
    ("make_resolve", "expected"),
    [
        (lambda: failing(OSError(-2, "Name or service not known")), ConnectFailed),
        (lambda: resolving([])[0], AddressRefused),
        (slow_resolver, ConnectTimeout),
    ],
    ids=["unknown", "no address", "slow"],
)
def test_names_that_lead_nowhere_say_how(
    run: Run, make_resolve: Callable[[], Resolve], expected: type[UpstreamFailure]
) -> None:
    async def scenario() -> None:
        async with client_of(resolve=make_resolve()) as client:
            with pytest.raises(expected):
                await post(
                    client, Origin("http", "gone.test", 80), timeouts=Timeouts(connect_s=0.2)
                )
            await asyncio.sleep(0.4)

    run(scenario())


def test_the_systems_resolver_knows_the_loopback(run: Run) -> None:
    async def scenario() -> None:
        async with (
            client_of(networks=NetworkPolicy.parse("127.0.0.0/8,::1/128")) as client,
            serve(answering(OK)) as server,
        ):
            assert (await post(client, Origin("http", "localhost", server.port))).status == 200

    run(scenario())
