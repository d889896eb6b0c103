"""One mail over the real protocol: what is known afterwards is what the server can have done."""

import time
from pathlib import Path

import pytest

from portal.lib import smtp
from portal.lib.mail_url import MailServer, Tls
from portal.lib.smtp import MaybeTaken, NotTaken, deliver
from tests.certificates import server_context
from tests.smtp_server import Fault, SmtpServer

PASSWORD = "Fq81xLsd9Kw2zP"
MESSAGE = b"Subject: Hello\r\n\r\nOne.\r\n.two\r\n..three\nfour"


def send(
    server: SmtpServer,
    *,
    tls: Tls = Tls.NONE,
    host: str = "127.0.0.1",
    password: str = "",
    ca_file: str = "",
    recipient: str = "ada@corp.test",
) -> None:
    user = "latchkey" if password else ""
    way = MailServer(host, server.port, tls, user, password, ca_file)
    deliver(way, sender="latchkey@models.test", recipient=recipient, message=MESSAGE)


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "ANSWER_TIMEOUT_S", 0.5)
    monkeypatch.setattr(smtp, "TOTAL_TIMEOUT_S", 1.5)


def test_message_arrives_as_it_was_sent_lines_of_full_stops_included() -> None:
    with SmtpServer().listening() as server:
        send(server)
    [taken] = server.taken
    assert (taken.sender, taken.recipient) == ("latchkey@models.test", "ada@corp.test")
    assert taken.raw == b"Subject: Hello\r\n\r\nOne.\r\n.two\r\n..three\r\nfour\r\n"
    assert server.commands[0] == "ehlo models.test"
    assert server.commands[-1] == "quit"


@pytest.mark.parametrize(
    ("fault", "told", "is_final"),
    [
        (Fault.GREETS_BUSY, "answered 421 too busy", False),
        (Fault.SILENT, "no answer came in time", False),
        (Fault.DRIBBLES, "answered 222 2", False),
        (Fault.REFUSES_ADDRESS, "answered 550 5.1.1 nobody here, password=[redacted]", True),
        (Fault.ADDRESS_LATER, "answered 451 try later", False),
        (Fault.CUT_BEFORE_DATA, "cannot be used", False),
        (Fault.REFUSES_MAIL, "answered 554 5.7.1 looks like spam", True),
    ],
)
def test_what_was_not_taken_is_known(fault: Fault, told: str, is_final: bool) -> None:
    with SmtpServer(fault=fault).listening() as server:
        began = time.monotonic()
        with pytest.raises(NotTaken) as refused:
            send(server)
        assert time.monotonic() - began < 5
    assert told in str(refused.value)
    assert refused.value.is_final == is_final
    assert not server.taken


@pytest.mark.parametrize("fault", [Fault.CUT_AFTER_DATA, Fault.SILENT_AFTER_DATA])
def test_what_was_sent_and_not_answered_may_have_been_taken(fault: Fault) -> None:
    with SmtpServer(fault=fault).listening() as server, pytest.raises(MaybeTaken):
        send(server)
    assert len(server.taken) == 1


def test_server_that_is_away_is_no_answer() -> None:
    with SmtpServer().listening() as server:
        pass
    with pytest.raises(NotTaken, match="Connection refused"):
        send(server)


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
def test_mail_travels_encrypted_and_signed_in(tls: Tls, tmp_path: Path) -> None:
    context, authority = server_context(tmp_path, name="127.0.0.1")
    house = SmtpServer(tls=context, is_tls_implicit=tls is Tls.IMPLICIT, password=PASSWORD)
    with house.listening() as server:
        send(server, tls=tls, password=PASSWORD, ca_file=str(authority))
    assert len(server.taken) == 1
    is_signed_in_first = [line.split()[0].upper() for line in server.commands]
    assert is_signed_in_first.index("AUTH") < is_signed_in_first.index("MAIL")


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
@pytest.mark.parametrize("spoil", ["unknown authority", "other name"])
def test_certificate_has_to_prove_the_server(tls: Tls, spoil: str, tmp_path: Path) -> None:
    name = "mail.other" if spoil == "other name" else "127.0.0.1"
    context, authority = server_context(tmp_path, name=name)
    house = SmtpServer(tls=context, is_tls_implicit=tls is Tls.IMPLICIT, password=PASSWORD)
    trusted = str(authority) if spoil == "other name" else ""
    with (
        house.listening() as server,
        pytest.raises(NotTaken, match="certificate"),
    ):
        send(server, tls=tls, password=PASSWORD, ca_file=trusted)
    assert not server.taken
    assert not any("AUTH" in line for line in server.commands)


def test_nothing_is_sent_in_clear_text_where_encryption_was_asked_for() -> None:
    with (
        SmtpServer(password=PASSWORD).listening() as server,
        pytest.raises(NotTaken, match="does not offer"),
    ):
        send(server, tls=Tls.STARTTLS, password=PASSWORD)
    assert [line.split()[0] for line in server.commands] == ["ehlo"]


def test_refused_sign_in_tells_no_password(tmp_path: Path) -> None:
    context, authority = server_context(tmp_path, name="127.0.0.1")
    with (
        SmtpServer(tls=context, password="another-" + PASSWORD).listening() as server,
        pytest.raises(NotTaken, match="refused the sign-in") as refused,
    ):
        send(server, tls=Tls.STARTTLS, password=PASSWORD, ca_file=str(authority))
    assert PASSWORD not in str(refused.value)
    assert not refused.value.is_final


def test_missing_file_of_authorities_is_told() -> None:
    with SmtpServer().listening() as server, pytest.raises(NotTaken, match="No such file"):
        send(server, tls=Tls.IMPLICIT, ca_file="/nonexistent/ca.pem")


@pytest.mark.parametrize("recipient", ["a@b>\r\nRCPT TO:<c@d", "nobody", "a@b, c@d"])
def test_address_that_would_be_more_than_one_reaches_no_server(recipient: str) -> None:
    with SmtpServer().listening() as server, pytest.raises(NotTaken) as refused:
        send(server, recipient=recipient)
    assert refused.value.is_final
    assert not server.commands
