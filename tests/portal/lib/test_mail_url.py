import pytest

from portal.lib.mail_url import Kept, MailServer, Tls, is_mailbox, parse_mail_url, parse_sender

PASSWORD = "Fq81xLsd9Kw2zP"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("smtp://mail.corp", ("mail.corp", 587, Tls.STARTTLS)),
        ("smtp://Mail.Corp:2525?tls=starttls", ("mail.corp", 2525, Tls.STARTTLS)),
        ("smtp://10.0.0.5:25?tls=none", ("10.0.0.5", 25, Tls.NONE)),
        ("smtps://mail.corp/", ("mail.corp", 465, Tls.IMPLICIT)),
        ("smtps://[fd00::5]:4650", ("fd00::5", 4650, Tls.IMPLICIT)),
    ],
)
def test_server_is_read_and_encrypted_unless_it_is_said_not_to_be(
    url: str, place: tuple[str, int, Tls]
) -> None:
    server = parse_mail_url(url)
    assert isinstance(server, MailServer)
    assert (server.host, server.port, server.tls) == place
    assert (server.user, server.password, server.ca_file) == ("", "", "")


def test_credential_and_authority_are_read_in_their_written_form() -> None:
    url = f"smtp://ada%40corp:{PASSWORD}%2F%23@mail.corp?tls=starttls&ca=/etc/corp%20ca.pem"
    server = parse_mail_url(url)
    assert isinstance(server, MailServer)
    assert (server.user, server.password) == ("ada@corp", f"{PASSWORD}/#")
    assert server.ca_file == "/etc/corp ca.pem"
    assert PASSWORD not in repr(server)


def test_two_words_stand_for_no_server() -> None:
    assert [parse_mail_url(word) for word in ("caught", "none")] == [Kept.CAUGHT, Kept.NONE]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.corp",
        "http://mail.corp",
        "smtp://",
        "smtp://mail corp",
        "smtp://mail.corp\r\nRCPT",
        "smtp://mail.corp:99999",
        "smtp://mail.corp/path",
        "smtp://mail.corp#x",
        "smtp://mail.corp?tls=maybe",
        "smtp://mail.corp?tls=",
        "smtp://mail.corp?tls=none&tls=starttls",
        "smtp://mail.corp?verify=no",
        "smtps://mail.corp?tls=none",
        f"smtp://u:{PASSWORD}@mail.corp?tls=none",
        f"smtp://:{PASSWORD}@mail.corp",
        "smtp://user@mail.corp",
        "smtp://user:@mail.corp",
        "smtp://user:changeme-changeme@mail.corp",
        f"smtp://us%0D%0Aer:{PASSWORD}@mail.corp",
        f"smtp://user:{PASSWORD}%0D%0AX@mail.corp",
    ],
)
def test_other_urls_are_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(it|an option|of its password)") as refused:
        parse_mail_url(url)
    assert PASSWORD not in str(refused.value)
    assert "corp" not in str(refused.value)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("latchkey@models.corp", "latchkey@models.corp"),
        ("Latchkey <latchkey@models.corp>", "Latchkey <latchkey@models.corp>"),
        ("Models, all of them <m@corp>", '"Models, all of them" <m@corp>'),
    ],
)
def test_sender_is_read(raw: str, shown: str) -> None:
    assert str(parse_sender(raw)) == shown


@pytest.mark.parametrize(
    "raw", ["Latchkey", "a@b, c@d", "A <a@b>, C <c@d>", "A <a@b>\r\nBcc: c@d", "A <a b@c>", "a@b\n"]
)
def test_other_senders_are_refused(raw: str) -> None:
    with pytest.raises(ValueError, match=r"^it"):
        parse_sender(raw)


@pytest.mark.parametrize(
    ("address", "is_plain"),
    [
        ("ada.lovelace+test@corp.example", True),
        ("ada@", False),
        ("@corp", False),
        ("ada", False),
        ("a@b>\r\nRCPT TO:<c@d", False),
        ("a@b,c@d", False),
        ('"a b"@corp', False),
        ("ada@corp ", False),
        ("ada@corp\n", False),
        ("ädä@corp", False),
        (f"{'a' * 250}@corp", False),
    ],
)
def test_only_a_plain_address_is_written_into_a_command(address: str, is_plain: bool) -> None:
    assert is_mailbox(address) == is_plain
