"""Hand one mail to an SMTP server, and know afterwards whether it was taken."""

import contextlib
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from portal.lib.mail_url import MailServer, Tls, is_mailbox
from portal.lib.redaction import REDACTED, redact

ANSWER_TIMEOUT_S = 10.0
TOTAL_TIMEOUT_S = 60.0
FAULT_MAX = 200


class NotTaken(Exception):
    """The mail was not taken, for certain. The text may be shown to administrators.

    is_final: trying again would be answered alike.
    """

    def __init__(self, fault: str, *, is_final: bool = False) -> None:
        super().__init__(fault[:FAULT_MAX])
        self.is_final = is_final


class MaybeTaken(Exception):
    """The whole mail or a part of it was sent, and no answer came."""


def deliver(server: MailServer, *, sender: str, recipient: str, message: bytes) -> None:
    """Send the message once. It was taken when this returns.

    A certificate that does not prove the server's name ends it, and so does a server that offers no encryption where
    it was asked for.
    Raises: NotTaken, MaybeTaken.
    """
    for address in (sender, recipient):
        if not is_mailbox(address):
            raise NotTaken("The address is not one that mail can be sent to.", is_final=True)
    with _told_as_not_taken(server), _connected(server, sender.rpartition("@")[2]) as connection:
        _expect(connection.mail(sender), 250)
        # What is said about the one address or the one message stays true, and the server says whether it does.
        _expect(connection.rcpt(recipient), 250, 251, is_final_from=500)
        _expect(connection.docmd("DATA"), 354)
        try:
            connection.send(_stuffed(message))
            answer = connection.getreply()
        except (OSError, smtplib.SMTPException) as error:
            raise MaybeTaken from error
        if answer[0] < 400 and answer[0] != 250:
            raise MaybeTaken
        _expect(answer, 250, is_final_from=500)


@contextmanager
def _connected(server: MailServer, own_name: str) -> Iterator[smtplib.SMTP]:
    """A connection that is encrypted and signed in as the server's URL says, and ends in time whatever is sent."""
    connection = _new_connection(server, own_name)
    end = threading.Timer(TOTAL_TIMEOUT_S, _cut, [connection])
    end.daemon = True
    end.start()
    try:
        _expect(connection.connect(server.host, server.port), 220)
        connection.ehlo_or_helo_if_needed()
        if server.tls is Tls.STARTTLS:
            connection.starttls(context=_trusting(server))
            connection.ehlo_or_helo_if_needed()
        if server.user:
            connection.login(server.user, server.password)
        yield connection
        # The mail is taken; how the goodbye goes is nobody's concern.
        with contextlib.suppress(OSError, smtplib.SMTPException):
            connection.quit()
    finally:
        end.cancel()
        connection.close()


def _new_connection(server: MailServer, own_name: str) -> smtplib.SMTP:
    """One that is not opened yet, so that opening it is bounded too."""
    if server.tls is Tls.IMPLICIT:
        context = _trusting(server)
        connection: smtplib.SMTP = smtplib.SMTP_SSL(
            local_hostname=own_name, timeout=ANSWER_TIMEOUT_S, context=context
        )
    else:
        connection = smtplib.SMTP(local_hostname=own_name, timeout=ANSWER_TIMEOUT_S)
    # The name that the certificate has to prove; only its constructor, which also connects, would set it.
    vars(connection)["_host"] = server.host
    return connection


def _trusting(server: MailServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.ca_file or None)


def _cut(connection: smtplib.SMTP) -> None:
    """End a connection whose server answers byte by byte, each in time."""
    if connection.sock is not None:
        with contextlib.suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)


def _expect(answer: tuple[int, bytes], *codes: int, is_final_from: int = 1000) -> None:
    code, text = answer
    if code not in codes:
        raise _Refused(code, text, is_final=code >= is_final_from)


class _Refused(smtplib.SMTPResponseException):
    def __init__(self, code: int, text: bytes, *, is_final: bool) -> None:
        super().__init__(code, text)
        self.is_final = is_final


@contextmanager
def _told_as_not_taken(server: MailServer) -> Iterator[None]:
    """Turn whatever goes wrong before the message was sent, or is said to it, into NotTaken."""
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        # The operator's to mend, so it is tried again.
        raise NotTaken(f"The mail server refused the sign-in ({error.smtp_code}).") from None
    except smtplib.SMTPResponseException as error:
        said = _shown(error.smtp_error, server)
        raise NotTaken(
            f"The mail server answered {error.smtp_code} {said}",
            is_final=isinstance(error, _Refused) and error.is_final,
        ) from None
    except ssl.SSLCertVerificationError as error:
        raise NotTaken(f"The mail server's certificate: {error.verify_message}.") from None
    except TimeoutError:
        raise NotTaken("The mail server cannot be reached in time.") from None
    except smtplib.SMTPNotSupportedError:
        raise NotTaken("The mail server does not offer what its URL asks for.") from None
    except (OSError, smtplib.SMTPException) as error:
        raise NotTaken(f"The mail server cannot be used: {_reason(error)}.") from None


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "the connection was lost, or no answer came in time"
    strerror = getattr(error, "strerror", None)
    return str(strerror) if strerror else type(error).__name__


def _shown(said: bytes | str, server: MailServer) -> str:
    """The server's words without anything secret in them."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    if server.password:
        text = text.replace(server.password, REDACTED)
    return redact(" ".join(text.split()))


def _stuffed(message: bytes) -> bytes:
    """RFC 5321, 4.5.2: a line that begins with a full stop gets a second one, and a lone one ends the message."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", message)
    body = re.sub(rb"(?m)^\.", b"..", lines)
    return body + (b"" if body.endswith(b"\r\n") else b"\r\n") + b".\r\n"
