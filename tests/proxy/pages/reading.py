"""Signing in and reading a page as text."""

import re

from django.test import Client

from accounts.audit import COMMAND
from accounts.models import ApiKey, Team, User
from accounts.models.keys import Scope
from accounts.writes.keys import issue_key
from tests.accounts.rows import tomorrow

QUERIES_MAX = 12
HOSTILE = "<script>alert(1)</script>{{ 7|add:7 }}\" onload='x'"


def sign_in(person: User) -> Client:
    """A browser's session of this person."""
    client = Client()
    client.force_login(person)
    return client


def key_of(person: User, team: Team, name: str = "Own") -> ApiKey:
    """A key of the person's own in the team."""
    return issue_key(
        team, holder=person, name=name, scopes=[Scope.CHAT], expires_at=tomorrow(), actor=COMMAND
    ).key


def read(client: Client, address: str) -> str:
    """Return the page that stands there."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def words(page: str) -> str:
    """Return the page's text without its markup, each run of spaces as one."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())
