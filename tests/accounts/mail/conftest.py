from collections.abc import Iterator
from types import ModuleType

import pytest
from django.http import HttpRequest, HttpResponse
from django.urls import path
from pytest_django.fixtures import Settings

import portal.urls
from portal.lib.mail_url import MailServer, Tls, parse_sender
from tests.accounts.conftest import cheap_passwords, committed
from tests.smtp_server import SmtpServer

__all__ = ["cheap_passwords", "committed"]


@pytest.fixture
def mail_server(settings: Settings) -> Iterator[SmtpServer]:
    """A server that mail goes to."""
    with SmtpServer().listening() as server:
        settings.LATCHKEY_EMAIL_URL = MailServer("127.0.0.1", server.port, Tls.NONE)
        settings.LATCHKEY_EMAIL_FROM = parse_sender("Latchkey <latchkey@models.test>")
        yield server


def _page(request: HttpRequest, **kwargs: object) -> HttpResponse:
    return HttpResponse("a page")


@pytest.fixture(autouse=True)
def pages_that_mail_leads_to(settings: Settings) -> None:
    """The routes whose pages are not there yet."""
    names = {
        "request": "requests/<uuid:request_id>/",
        "key": "keys/<uuid:key_id>/",
        "ask": "models/<path:name>/ask/",
        "invitation": "invitations/<str:token>/",
        "password-reset": "password/reset/<uidb64>/<token>/",
    }
    routes = ModuleType("urls_with_pages_to_come")
    vars(routes).update(vars(portal.urls))
    to_come = [path(route, _page, name=name) for name, route in names.items()]
    routes.urlpatterns = [*portal.urls.urlpatterns, *to_come]  # type: ignore[attr-defined]
    settings.ROOT_URLCONF = routes
