from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from portal.lib.mail_url import MailServer, Tls, parse_sender
from tests.accounts.conftest import committed
from tests.smtp_server import SmtpServer

__all__ = ["committed"]


@pytest.fixture
def mail_server(settings: Settings) -> Iterator[SmtpServer]:
    """A server that mail goes to."""
    with SmtpServer().listening() as server:
        settings.LATCHKEY_EMAIL_URL = MailServer("127.0.0.1", server.port, Tls.NONE)
        settings.LATCHKEY_EMAIL_FROM = parse_sender("Latchkey <latchkey@models.test>")
        yield server
