"""An SMTP server on loopback that speaks the real protocol and can be told to misbehave."""

import socketserver
import ssl
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from enum import StrEnum


class Fault(StrEnum):
    """What the server does wrong."""

    NONE = "none"
    GREETS_BUSY = "greets_busy"
    SILENT = "silent"
    REFUSES_ADDRESS = "refuses_address"
    ADDRESS_LATER = "address_later"
    REFUSES_MAIL = "refuses_mail"
    CUT_BEFORE_DATA = "cut_before_data"
    CUT_AFTER_DATA = "cut_after_data"
    SILENT_AFTER_DATA = "silent_after_data"
    DRIBBLES = "dribbles"


@dataclass
class Taken:
    """A mail as it arrived."""

    sender: str
    recipient: str
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        """The mail, parsed."""
        return message_from_bytes(self.raw, policy=policy.default)


@dataclass
class SmtpServer:
    """The server and what it took.

    began: set as soon as a whole mail has arrived, before it is answered.
    """

    port: int = 0
    fault: Fault = Fault.NONE
    tls: ssl.SSLContext | None = None
    is_tls_implicit: bool = False
    password: str = ""
    taken: list[Taken] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    began: threading.Event = field(default_factory=threading.Event)
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def taken_by(self, address: str) -> list[Taken]:
        """The mails that this address got."""
        return [mail for mail in self.taken if mail.recipient == address]

    @contextmanager
    def listening(self) -> Iterator["SmtpServer"]:
        """Listen on a free port until the block ends."""
        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _handler_of(self)) as server:
            server.daemon_threads = True
            server.block_on_close = False
            self.port = server.server_address[1]
            serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            serving.start()
            try:
                yield self
            finally:
                self.may_go_on.set()
                server.shutdown()


class _End(Exception):
    """The conversation is over."""


class _Conversation(socketserver.StreamRequestHandler):
    house: SmtpServer
    sender = ""
    recipient = ""
    is_encrypted = False

    def handle(self) -> None:
        if self.house.is_tls_implicit:
            self._encrypt()
        answers: dict[str, Callable[[str], None]] = {
            "EHLO": self._ehlo,
            "STARTTLS": self._starttls,
            "AUTH": self._auth,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
        }
        try:
            self._greet()
            while line := self.rfile.readline(2000).decode("ascii").strip():
                self.house.commands.append(line)
                verb = line.partition(" ")[0].upper()
                if verb == "QUIT":
                    self._say(b"221 bye")
                    return
                answers.get(verb, self._unknown)(line)
        except (_End, OSError):
            return

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def _greet(self) -> None:
        if self.house.fault is Fault.GREETS_BUSY:
            self._say(b"421 too busy")
            raise _End
        if self.house.fault is Fault.SILENT:
            self.house.may_go_on.wait(30)
            raise _End
        if self.house.fault is Fault.DRIBBLES:
            while not self.house.may_go_on.wait(0.05):
                self.connection.sendall(b"2")
            raise _End
        self._say(b"220 mail.test ready")

    def _ehlo(self, line: str) -> None:
        offers = [b"250-mail.test"]
        if self.house.tls is not None and not self.is_encrypted:
            offers.append(b"250-STARTTLS")
        if self.house.password and self.is_encrypted:
            offers.append(b"250-AUTH PLAIN")
        self._say(b"\r\n".join([*offers, b"250 SIZE 1000000"]))

    def _starttls(self, line: str) -> None:
        self._say(b"220 go ahead")
        self._encrypt()

    def _auth(self, line: str) -> None:
        _, user, password = b64decode(line.split()[2]).decode().split("\0")
        is_right = user == "latchkey" and password == self.house.password
        # A rude server repeats what it was told.
        self._say(b"235 welcome" if is_right else f"535 not {password}".encode())

    def _mail(self, line: str) -> None:
        self.sender = _address(line)
        self._say(b"250 ok")

    def _rcpt(self, line: str) -> None:
        if self.house.fault is Fault.REFUSES_ADDRESS:
            self._say(b"550 5.1.1 nobody here, password=Fq81xLsd9Kw2zP")
        elif self.house.fault is Fault.ADDRESS_LATER:
            self._say(b"451 try later")
        else:
            self.recipient = _address(line)
            self._say(b"250 ok")

    def _data(self, line: str) -> None:
        if self.house.fault is Fault.CUT_BEFORE_DATA:
            raise _End
        self._say(b"354 go ahead")
        lines = []
        while (part := self.rfile.readline(2000)) != b".\r\n":
            if not part:
                raise _End
            lines.append(part.removeprefix(b".") if part.startswith(b"..") else part)
        self.house.began.set()
        if self.house.fault is Fault.REFUSES_MAIL:
            self._say(b"554 5.7.1 looks like spam")
            return
        self.house.taken.append(Taken(self.sender, self.recipient, b"".join(lines)))
        if self.house.fault is Fault.CUT_AFTER_DATA:
            raise _End
        if self.house.fault is Fault.SILENT_AFTER_DATA:
            self.house.may_go_on.wait(30)
            raise _End
        self._say(b"250 taken")

    def _unknown(self, line: str) -> None:
        self._say(b"502 not known")

    def _encrypt(self) -> None:
        assert self.house.tls is not None
        try:
            secured = self.house.tls.wrap_socket(self.connection, server_side=True)
        except (ssl.SSLError, OSError) as error:
            raise _End from error
        self.rfile.close()
        self.wfile.close()
        self.connection = secured
        self.rfile, self.wfile = secured.makefile("rb"), secured.makefile("wb")
        self.is_encrypted = True

    def _say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")
        self.wfile.flush()


def _handler_of(house: SmtpServer) -> type[_Conversation]:
    return type("Conversation", (_Conversation,), {"house": house})


def _address(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]
