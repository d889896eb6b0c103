"""Where mail goes, read from one URL: smtp://user:password@host:587?tls=starttls, smtps://…, caught, or none."""

import re
from dataclasses import dataclass
from email.headerregistry import Address
from enum import StrEnum
from urllib.parse import parse_qsl, unquote, urlsplit

from portal.lib.env import refuse_weak_password

# urlsplit would quietly drop line ends.
_URL = re.compile(r"[!-~]+", re.ASCII)
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*", re.ASCII)
_USER = re.compile(r"[!-~]{1,254}", re.ASCII)
# What stands between < and > on the wire, and could not end the command or name a second address.
_MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]+", re.ASCII)


class Kept(StrEnum):
    """What is done with mail where no server is named: shown to a demonstration's administrator, or not sent."""

    CAUGHT = "caught"
    NONE = "none"


class Tls(StrEnum):
    IMPLICIT = "implicit"
    STARTTLS = "starttls"
    NONE = "none"


@dataclass(frozen=True, repr=False)
class MailServer:
    """An SMTP server and how it is spoken to.

    ca_file: the only authorities its certificate may come from; "" trusts the system's.
    """

    host: str
    port: int
    tls: Tls
    user: str = ""
    password: str = ""
    ca_file: str = ""


MailWay = MailServer | Kept
NO_MAIL: MailWay = Kept.NONE


def parse_mail_url(raw: str) -> MailWay:
    """Read where mail goes. Raises: ValueError, which never repeats the URL (it may hold a password)."""
    if raw in tuple(Kept):
        return Kept(raw)
    if not _URL.fullmatch(raw):
        raise ValueError("it is not a URL")
    try:
        parts = urlsplit(raw)
        port = parts.port
    except ValueError:
        raise ValueError("it is not a URL") from None
    if parts.scheme not in ("smtp", "smtps"):
        raise ValueError("it begins with neither smtp:// nor smtps://")
    if parts.path.strip("/") or parts.fragment:
        raise ValueError(
            "it has a path or a fragment; a password's / and # are written as %2F and %23"
        )
    host = (parts.hostname or "").lower()
    if not _HOST.fullmatch(host):
        raise ValueError("its host is neither a name nor an address")
    options = _options(parts.query)
    tls = _tls(parts.scheme, options.pop("tls", None))
    ca_file = options.pop("ca", "")
    if options:
        raise ValueError("it has options other than tls and ca")
    user, password = _credential(parts.username, parts.password, tls)
    return MailServer(
        host, port or (465 if tls is Tls.IMPLICIT else 587), tls, user, password, ca_file
    )


def parse_sender(raw: str) -> Address | None:
    """Read `Name <address>` or a bare address; "" is none. Raises: ValueError."""
    if not raw:
        return None
    match = re.fullmatch(r"(?:(?P<name>[^<>\"]{1,100}?)\s*<(?P<boxed>[^<>]+)>|(?P<bare>\S+))", raw)
    if match is None or any(character < " " or character == "\x7f" for character in raw):
        raise ValueError("it is neither an address nor of the form Name <address>")
    mailbox = match["boxed"] or match["bare"]
    if not is_mailbox(mailbox):
        raise ValueError("its address is not of the form name@host")
    return Address(display_name=match["name"] or "", addr_spec=mailbox)


def is_mailbox(address: str) -> bool:
    """Whether the address is plain enough to be written into a command and a header as it is."""
    return len(address) <= 254 and _MAILBOX.fullmatch(address) is not None


def _options(query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) < len(pairs):
        raise ValueError("an option stands twice")
    return options


def _tls(scheme: str, said: str | None) -> Tls:
    if scheme == "smtps":
        if said is not None:
            raise ValueError(
                "it is encrypted from the start, as smtps:// says, and takes no tls option"
            )
        return Tls.IMPLICIT
    if said not in (None, Tls.STARTTLS, Tls.NONE):
        raise ValueError("its tls option is neither starttls nor none")
    return Tls.STARTTLS if said is None else Tls(said)


def _credential(user: str | None, password: str | None, tls: Tls) -> tuple[str, str]:
    if user is None and password is None:
        return "", ""
    if not user or password is None:
        raise ValueError("it names a user or a password without the other")
    if tls is Tls.NONE:
        raise ValueError("its password would travel in clear text with tls=none")
    user, password = unquote(user), unquote(password)
    if not _USER.fullmatch(user) or not password.isprintable():
        raise ValueError("its user or password has characters that cannot be sent")
    refuse_weak_password(password)
    return user, password
