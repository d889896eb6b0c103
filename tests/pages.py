"""Pages as a signed-in person's browser gets them."""

import html
import re
from typing import Any

from django.http import HttpResponse
from django.test import Client

from accounts.models import User

QUERIES_MAX = 12
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7|add:7 }}"
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="[^"]*"')


class Browser:
    """Somebody who is signed in."""

    def __init__(self, person: User) -> None:
        self.person = person
        self.client = Client()
        self.client.force_login(person)

    def get(self, address: str, /, **query: Any) -> HttpResponse:
        reply = self.client.get(address, query)
        assert isinstance(reply, HttpResponse)
        return reply

    def page(self, address: str, /, **query: Any) -> str:
        """The page's text, which has to be there."""
        reply = self.get(address, **query)
        assert reply.status_code == 200, reply.status_code
        return text_of(reply)

    def post(self, address: str, **values: Any) -> HttpResponse:
        reply = self.client.post(address, values)
        assert isinstance(reply, HttpResponse)
        return reply


def text_of(reply: HttpResponse) -> str:
    return reply.content.decode()


def words_of(page: str) -> str:
    """What a reader sees: the text without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def without_tokens(page: str) -> str:
    """The page without what is new in each copy of it."""
    return _TOKEN.sub("", page)


def shows_as_text(page: str, hostile: str = HOSTILE) -> bool:
    """Whether the page shows the text and lets none of it become a tag."""
    return html.escape(hostile) in page and "<script>alert" not in page and "<img src=x" not in page
