"""How a connection comes to be.

The name is resolved once, each address is held against the policy, and the connection goes to the
very address that passed. TLS still proves the name.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import cache

from portal.lib.networks import Address, AddressNotAllowed, NetworkPolicy
from portal.lib.origin import Origin
from proxy.upstreams.connection import Connection
from proxy.upstreams.failures import AddressRefused, ConnectFailed, ConnectTimeout, TlsFailed

Resolve = Callable[[str, int], Awaitable[list[str]]]


class Dialer:
    """Opens connections for one event loop. Concurrent dials to one name share one look-up."""

    def __init__(
        self,
        *,
        networks: NetworkPolicy,
        ssl_context: ssl.SSLContext | None,
        resolve: Resolve | None = None,
    ) -> None:
        if ssl_context is not None:
            _refuse_weak_context(ssl_context)
            ssl_context.hostname_checks_common_name = False
        self._networks = networks
        self._ssl_context = ssl_context
        self._resolve = resolve or resolve_by_system
        self._lookups: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def dial(
        self, origin: Origin, factory: Callable[[], Connection], *, connect_s: float
    ) -> Connection:
        """Return a connection, TLS done, within this time.

        An address that does not answer may use up only its share of the time.
        Raises: AddressRefused, ConnectFailed, ConnectTimeout, TlsFailed.
        """
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + connect_s
        try:
            async with asyncio.timeout_at(ends_at):
                addresses = await self._allowed_addresses(origin)
        except TimeoutError:
            raise ConnectTimeout(f"The name was not resolved within {connect_s:g} s.") from None
        for tried, address in enumerate(addresses[:-1]):
            share_s = (ends_at - loop.time()) / (len(addresses) - tried)
            try:
                return await self._connect(origin, address, factory, within_s=share_s)
            except (ConnectFailed, ConnectTimeout):
                continue
        last_s = ends_at - loop.time()
        return await self._connect(origin, addresses[-1], factory, within_s=last_s)

    async def _connect(
        self,
        origin: Origin,
        address: Address,
        factory: Callable[[], Connection],
        *,
        within_s: float,
    ) -> Connection:
        tls = origin.scheme == "https"
        try:
            async with asyncio.timeout(within_s):
                _, connection = await asyncio.get_running_loop().create_connection(
                    factory,
                    str(address),
                    origin.port,
                    ssl=(self._ssl_context or default_ssl_context()) if tls else None,
                    server_hostname=origin.host if tls else None,
                )
        except ssl.SSLCertVerificationError as error:
            raise TlsFailed(f"The certificate was refused: {error.verify_message}.") from None
        except ssl.SSLError as error:
            raise TlsFailed(f"The handshake failed: {error.reason}.") from None
        except TimeoutError:
            raise ConnectTimeout(f"No connection within {within_s:.3g} s.") from None
        except OSError as error:
            # A port that nobody listens on refuses; only an established connection can be reset.
            if tls and isinstance(error, ConnectionResetError):
                raise TlsFailed("The connection broke during the handshake.") from None
            reason = error.strerror or type(error).__name__
            raise ConnectFailed(f"No connection to {address}: {reason}.") from None
        return connection

    async def _allowed_addresses(self, origin: Origin) -> list[Address]:
        allowed, refusals = [], []
        for text in await self._addresses(origin):
            address = ipaddress.ip_address(text)
            try:
                self._networks.check(address)
            except AddressNotAllowed as refusal:
                refusals.append(str(refusal))
            else:
                allowed.append(address)
        if not allowed:
            raise AddressRefused(" ".join(refusals) or "The name has no address.")
        return allowed

    async def _addresses(self, origin: Origin) -> list[str]:
        try:
            return [str(ipaddress.ip_address(origin.host))]
        except ValueError:
            pass
        key = (origin.host, origin.port)
        lookup = self._lookups.get(key)
        if lookup is None:
            lookup = asyncio.ensure_future(self._resolve(origin.host, origin.port))
            self._lookups[key] = lookup
            lookup.add_done_callback(lambda done: self._end_lookup(key, done))
        try:
            # One caller's cancellation must not end the look-up of the others.
            return await asyncio.shield(lookup)
        except OSError as error:
            raise ConnectFailed(
                f"The name was not resolved: {error.strerror or type(error).__name__}."
            ) from None

    def _end_lookup(self, key: tuple[str, int], done: "asyncio.Future[list[str]]") -> None:
        self._lookups.pop(key, None)
        if not done.cancelled():
            # Read even when every caller has gone, or asyncio warns of it.
            done.exception()


async def resolve_by_system(host: str, port: int) -> list[str]:
    """Ask the system's resolver, in a thread; addresses in its order, each once."""
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


@cache
def default_ssl_context() -> ssl.SSLContext:
    """Return a context that trusts the system's authorities and writes no key log."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A name stands in subjectAltName or nowhere (RFC 9525).
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    context.load_default_certs()
    return context


def _refuse_weak_context(context: ssl.SSLContext) -> None:
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        raise ValueError("The TLS context must verify certificates and names.")
    if context.minimum_version < ssl.TLSVersion.TLSv1_2:
        raise ValueError("The TLS context must refuse what is older than TLS 1.2.")
