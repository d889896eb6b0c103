import asyncio
import datetime
import ipaddress
import os
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from portal.lib.origin import Origin
from proxy.upstreams.client import UpstreamClient
from proxy.upstreams.failures import CutOff, TlsFailed, UpstreamFailure
from tests.proxy.upstreams.conftest import LOOPBACK, Run, client_of
from tests.proxy.upstreams.raw_server import CHUNKED, OK, Peer, answering, serve
from tests.proxy.upstreams.sending import post, read_answer

NAME = "upstream.test"
DAY = datetime.timedelta(days=1)


class Authority:
    """A certificate authority for one test run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self.certificate = self._sign(self._name, self._key, [], days=1, authority=True)

    def client_context(self) -> ssl.SSLContext:
        """A context that trusts this authority alone."""
        pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=pem)

    def server_context(
        self, *names: x509.GeneralName, days: int = 1, newest: ssl.TLSVersion | None = None
    ) -> ssl.SSLContext:
        """A server's context with a certificate for these names; days < 0 is expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
        certificate = self._sign(subject, key, list(names), days=days, authority=False)
        path = self._folder / f"{certificate.serial_number}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        if newest is not None:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.maximum_version = newest
        return context

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        names: list[x509.GeneralName],
        *,
        days: int,
        authority: bool,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 3 * DAY)
            .not_valid_after(now + days * DAY)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if authority:
            builder = builder.add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    key_cert_sign=True,
                    crl_sign=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def to_loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def tls_origin(port: int, host: str = NAME) -> Origin:
    return Origin("https", host, port)


def test_a_certificate_of_the_given_authority_for_the_name_is_accepted(
    run: Run, authority: Authority
) -> None:
    async def scenario() -> None:
        seen: list[bytes] = []

        async def script(peer: Peer) -> None:
            for _ in range(2):
                seen.append(await peer.read_request())
                await peer.write(CHUNKED + b"2\r\nhi\r\n")
                await peer.write(b"0\r\n\r\n")

        async with (
            client_of(ssl_context=authority.client_context(), resolve=to_loopback) as client,
            serve(script, ssl_context=authority.server_context(x509.DNSName(NAME))) as server,
        ):
            for _ in range(2):
                assert await read_answer(client, tls_origin(server.port)) == b"hi"
            assert len(server.peers) == 1
            assert b"\r\nhost: upstream.test:%d\r\n" % server.port in seen[0]

    run(scenario())


def test_an_address_is_proved_by_a_certificate_for_the_address(
    run: Run, authority: Authority
) -> None:
    async def scenario() -> None:
        context = authority.server_context(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        async with (
            client_of(ssl_context=authority.client_context()) as client,
            serve(answering(OK), ssl_context=context) as server,
        ):
            assert await read_answer(client, tls_origin(server.port, "127.0.0.1")) == b"ok"

    run(scenario())


def test_certificates_that_prove_something_else_are_refused(run: Run, authority: Authority) -> None:
    async def scenario() -> None:
        good = x509.DNSName(NAME)
        cases = {
            "another name": authority.server_context(x509.DNSName("other.test")),
            "only the address": authority.server_context(
                x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            ),
            "no name": authority.server_context(),
            "expired": authority.server_context(good, days=-1),
        }
        for case, context in cases.items():
            received = False

            async def script(peer: Peer) -> None:
                nonlocal received
                received = bool(await peer.reader.read(1))

            async with (
                client_of(ssl_context=authority.client_context(), resolve=to_loopback) as client,
                serve(script, ssl_context=context) as server,
            ):
                with pytest.raises(TlsFailed):
                    await post(client, tls_origin(server.port))
            assert not received, case

    run(scenario())


def test_an_unknown_authority_is_refused_by_default(run: Run, authority: Authority) -> None:
    async def scenario() -> None:
        context = authority.server_context(x509.DNSName(NAME))
        async with (
            client_of(resolve=to_loopback) as client,
            serve(answering(OK), ssl_context=context) as server,
        ):
            with pytest.raises(TlsFailed):
                await post(client, tls_origin(server.port))

    run(scenario())


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_1_1_is_refused(run: Run, authority: Authority) -> None:
    async def scenario() -> None:
        context = authority.server_context(x509.DNSName(NAME), newest=ssl.TLSVersion.TLSv1_1)
        async with (
            client_of(ssl_context=authority.client_context(), resolve=to_loopback) as client,
            serve(answering(OK), ssl_context=context) as server,
        ):
            with pytest.raises(TlsFailed):
                await post(client, tls_origin(server.port))

    run(scenario())


def test_plain_http_behind_an_https_origin_is_a_failed_handshake(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await peer.wait_closed()

        async with client_of() as client, serve(script) as server:
            with pytest.raises(TlsFailed):
                await post(client, tls_origin(server.port, "127.0.0.1"))

    run(scenario())


def test_a_context_that_does_not_verify_is_not_taken() -> None:
    lax = ssl.create_default_context()
    lax.check_hostname = False
    with pytest.raises(ValueError, match="verify"):
        UpstreamClient(networks=LOOPBACK, ssl_context=lax)
    lax.verify_mode = ssl.CERT_NONE
    with pytest.raises(ValueError, match="verify"):
        UpstreamClient(networks=LOOPBACK, ssl_context=lax)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_a_context_that_takes_old_tls_is_not_taken() -> None:
    old = ssl.create_default_context()
    old.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ValueError, match=r"TLS 1\.2"):
        UpstreamClient(networks=LOOPBACK, ssl_context=old)


def test_a_body_that_ends_with_the_connection_needs_the_end_of_tls(
    run: Run, authority: Authority
) -> None:
    """An attacker on the wire can cut TCP, but cannot forge the close that TLS signs."""

    async def scenario() -> None:
        for cut, expected in ((False, b"whole"), (True, CutOff)):

            async def script(peer: Peer, *, cut: bool = cut) -> None:
                await peer.read_request()
                await peer.write(b"HTTP/1.1 200 OK\r\n\r\nwhole")
                await asyncio.sleep(0.05)
                if cut:
                    number = peer.writer.get_extra_info("socket").fileno()
                    with socket.socket(fileno=os.dup(number)) as wire:
                        wire.shutdown(socket.SHUT_RDWR)
                else:
                    peer.writer.close()

            async with (
                client_of(ssl_context=authority.client_context(), resolve=to_loopback) as client,
                serve(script, ssl_context=authority.server_context(x509.DNSName(NAME))) as server,
            ):
                if isinstance(expected, bytes):
                    assert await read_answer(client, tls_origin(server.port)) == expected
                else:
                    with pytest.raises(UpstreamFailure):
                        await read_answer(client, tls_origin(server.port))

    run(scenario())


def test_a_large_upload_and_a_large_answer_pass_through_tls(run: Run, authority: Authority) -> None:
    async def scenario() -> None:
        size = 3_000_000

        async def script(peer: Peer) -> None:
            request = await peer.read_request()
            assert request.endswith(b"x" * size)
            await peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"y" * size)
            await peer.wait_closed(within_s=5)

        async with (
            client_of(ssl_context=authority.client_context(), resolve=to_loopback) as client,
            serve(script, ssl_context=authority.server_context(x509.DNSName(NAME))) as server,
        ):
            answer = await post(
                client, tls_origin(server.port), b"x" * size, max_body_bytes=2 * size
            )
            assert await answer.read() == b"y" * size

    run(scenario())


def test_closing_an_unfinished_answer_over_tls_closes_within_a_second(
    run: Run, authority: Authority
) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.read_request()
            await peer.write(CHUNKED)
            await peer.wait_closed()

        async with (
            client_of(ssl_context=authority.client_context(), resolve=to_loopback) as client,
            serve(script, ssl_context=authority.server_context(x509.DNSName(NAME))) as server,
        ):
            answer = await post(client, tls_origin(server.port))
            await answer.aclose()
            await server.peers[0].see_hung_up()

    run(scenario())
