"""Synchronous HTTP for jobs and commands: `requests`, held to the same networks as the inference path.

The address is checked when the connection is made, so that a name cannot point elsewhere between a check and its use.
No proxies or netrc from the environment, no redirects, bounded answers.
"""

import ipaddress
import socket
import ssl
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from portal.lib.networks import NetworkPolicy


class AnswerTooLarge(requests.RequestException):
    """The answer is larger than was asked for."""


def get_bytes(
    url: str,
    *,
    networks: NetworkPolicy,
    headers: dict[str, str] | None = None,
    timeout_s: float = 10.0,
    total_s: float = 30.0,
    max_bytes: int = 4 * 1024 * 1024,
    certificate_authority: str = "",
) -> bytes:
    """Fetch a document.

    timeout_s: for the connection, and for each pause within the answer. total_s: for all of it.
    certificate_authority: PEM of the only authority that is believed; without it, those that come with `requests`.
    Raises: requests.RequestException, AddressNotAllowed.
    """
    request = requests.Request("GET", url, headers=headers)
    return _exchange(
        request,
        networks=networks,
        timeout_s=timeout_s,
        total_s=total_s,
        max_bytes=max_bytes,
        certificate_authority=certificate_authority,
    )


def post_bytes(
    url: str,
    body: bytes,
    *,
    headers: dict[str, str],
    networks: NetworkPolicy,
    timeout_s: float = 10.0,
    max_bytes: int = 64 * 1024,
) -> bytes:
    """Send a body as it is, and return what is answered. Raises: requests.RequestException, AddressNotAllowed."""
    request = requests.Request("POST", url, data=body, headers=headers)
    return _exchange(
        request, networks=networks, timeout_s=timeout_s, total_s=timeout_s, max_bytes=max_bytes
    )


def post_form(
    url: str,
    fields: dict[str, str],
    *,
    networks: NetworkPolicy,
    auth: tuple[str, str] | None = None,
    timeout_s: float = 10.0,
    max_bytes: int = 1024 * 1024,
) -> bytes:
    """Send a form, and return what is answered; `auth` as HTTP Basic, encoded by the caller as it has to be.

    Raises: requests.RequestException, AddressNotAllowed.
    """
    request = requests.Request("POST", url, data=fields, auth=auth)
    return _exchange(
        request, networks=networks, timeout_s=timeout_s, total_s=timeout_s, max_bytes=max_bytes
    )


def _exchange(
    request: requests.Request,
    *,
    networks: NetworkPolicy,
    timeout_s: float,
    total_s: float,
    max_bytes: int,
    certificate_authority: str = "",
) -> bytes:
    with requests.Session() as session, _Deadline(total_s) as deadline:
        session.trust_env = False
        adapter = _CheckedAdapter(networks, deadline, certificate_authority)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        prepared = session.prepare_request(request)
        try:
            with session.send(
                prepared, timeout=timeout_s, allow_redirects=False, stream=True
            ) as response:
                response.raise_for_status()
                if response.is_redirect:
                    raise requests.TooManyRedirects("redirects are not followed")
                body = _read(response, max_bytes=max_bytes)
        except (requests.RequestException, OSError):
            deadline.refuse_late()
            raise
        # What was cut off may look like an answer that ended.
        deadline.refuse_late()
        return body


def _read(response: requests.Response, *, max_bytes: int) -> bytes:
    body = bytearray()
    try:
        while chunk := response.raw.read1(65_536, decode_content=False):
            body += chunk
            if len(body) > max_bytes:
                raise AnswerTooLarge(f"the answer is larger than {max_bytes} bytes")
    except HTTPError as error:
        raise requests.ConnectionError(type(error).__name__) from None
    return bytes(body)


class _Deadline:
    """Cuts an exchange off that lasts too long: a time-out bounds each pause alone, and bytes can come one by one."""

    def __init__(self, total_s: float) -> None:
        self._timer = threading.Timer(total_s, self._cut)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._watched: list[socket.socket] = []
        self._is_over = False

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        with self._lock:
            for connection in self._watched:
                connection.close()
            self._watched.clear()

    def watch(self, connection: socket.socket) -> None:
        """Cut this connection off at the deadline, too. TLS takes its socket over, so that a copy is kept."""
        self.refuse_late()
        with self._lock:
            self._watched.append(connection.dup())

    def refuse_late(self) -> None:
        """Raises: requests.ReadTimeout once the deadline is over."""
        if self._is_over:
            raise requests.ReadTimeout("the answer takes too long") from None

    def _cut(self) -> None:
        with self._lock:
            self._is_over = True
            for connection in self._watched:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _CheckedAdapter(HTTPAdapter):
    def __init__(
        self, networks: NetworkPolicy, deadline: _Deadline, certificate_authority: str = ""
    ) -> None:
        self._networks = networks
        self._deadline = deadline
        self._context = (
            ssl.create_default_context(cadata=certificate_authority)
            if certificate_authority
            else None
        )
        super().__init__(max_retries=0)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        if self._context is not None:
            # Without this the authorities of `requests` would be loaded into our context as well.
            conn.ca_certs = conn.ca_cert_dir = None

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> Any:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if self._context is not None:
            return host, {"ssl_context": self._context, "cert_reqs": "CERT_REQUIRED"}
        return host, pool

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _pool(HTTPConnectionPool, HTTPConnection, self._networks, self._deadline),
            "https": _pool(HTTPSConnectionPool, HTTPSConnection, self._networks, self._deadline),
        }


def _pool(pool: Any, connection: Any, networks: NetworkPolicy, deadline: _Deadline) -> Any:
    """The pool's class with connections that check the address they connect to."""

    class Checked(connection):  # type: ignore[misc]
        def _new_conn(self) -> socket.socket:
            made = _connect(self._dns_host, self.port, self.timeout, networks)
            deadline.watch(made)
            return made

    return type("CheckedPool", (pool,), {"ConnectionCls": Checked})


def _connect(host: str, port: int, timeout_s: float, networks: NetworkPolicy) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, address in found:
        networks.check(ipaddress.ip_address(address[0]))
    error: OSError = OSError("no address")
    for family, kind, protocol, _, address in found:
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(timeout_s)
        try:
            connection.connect(address)
        except OSError as refused:
            connection.close()
            error = refused
        else:
            return connection
    raise error
