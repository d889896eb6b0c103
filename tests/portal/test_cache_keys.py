"""T3: what is remembered of one is never found under the name of another, whatever beginning the two share."""

import ast
import datetime
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django_ratelimit.core import _make_cache_key
from hypothesis import given
from hypothesis import strategies as st

from accounts.api.throttling import name_of
from accounts.models.keys import Scope
from accounts.oauth.access_tokens import TokenFacts
from accounts.pages.sign_on import laid_aside_name
from accounts.pages.throttle import counted_name
from accounts.single_sign_on.oidc import kept_name
from accounts.single_sign_on.saml import used_name
from portal.pages.keys import form_name_of
from proxy.access import Sight
from proxy.identities import credential_digest
from proxy.known_tokens import caller_digest
from proxy.usage.kept import summary_name
from proxy.usage.span import Span
from tests.services import ROOT

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
# In the form in which addresses are looked up, which is the same for all their spellings.
LETTERS = st.characters(min_codepoint=33, max_codepoint=96)
TEXTS = st.text(LETTERS, max_size=254)
SCOPES = st.frozensets(st.sampled_from(Scope))
TEAMS = st.frozensets(st.uuids(), max_size=3)


def text_near(text: str) -> st.SearchStrategy[str]:
    """The text itself, or another that goes on differently after some beginning of it."""
    return st.builds(
        lambda at, end: (text[:at] + end)[:254],
        st.integers(0, len(text)),
        st.text(LETTERS, max_size=3),
    )


def uuid_near(one: uuid.UUID) -> st.SearchStrategy[uuid.UUID]:
    return st.integers(0, 127).map(lambda bit: uuid.UUID(int=one.int ^ (1 << bit)))


def day_near(day: datetime.date) -> st.SearchStrategy[datetime.date]:
    return st.just(day.replace(year=2000 + day.year % 100))


# How a part of an identity is drawn, and how one like it.
PARTS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], st.SearchStrategy[Any]]]] = {
    "text": (TEXTS, text_near),
    "word": (
        st.sampled_from(["document", "keys"]),
        lambda _: st.sampled_from(["document", "keys"]),
    ),
    "id": (st.uuids(), uuid_near),
    "id or none": (st.uuids(), lambda one: st.none() | uuid_near(one)),
    "scopes": (SCOPES, lambda _: SCOPES),
    "teams": (TEAMS, lambda one: st.just(one | {uuid.UUID(int=1)})),
    "day": (st.dates(datetime.date(2020, 1, 1)), day_near),
    "number": (st.integers(0, 10**9), lambda one: st.just(one * 10 + 1)),
}


def caller_of_a_token(
    client_id: uuid.UUID, subject_id: uuid.UUID, team_id: uuid.UUID, scopes: frozenset[str]
) -> bytes:
    token = uuid.uuid4()
    return caller_digest(TokenFacts(token, token, client_id, subject_id, team_id, scopes, NOW))


def counted_tries(named: str) -> str:
    """The name in the store itself, as the library makes it of ours."""
    return str(_make_cache_key("sign-in-name", 1_767_225_600, "10/m", counted_name(named), None))


def sums(
    person: uuid.UUID, whole: frozenset[uuid.UUID], own: frozenset[uuid.UUID], *more: Any
) -> str:
    first, last, keys_max, counted = more
    # Without teams of which one sees their own calls alone, it does not matter who asks.
    sight = Sight(person, tuple(whole), (*own, uuid.UUID(int=2)))
    return summary_name(sight, Span(first, last), keys_max=keys_max, counted=counted)


NAMES: dict[str, tuple[Callable[..., object], list[str]]] = {
    "a credential": (credential_digest, ["text"]),
    "the caller of a token": (caller_of_a_token, ["id", "id", "id", "scopes"]),
    "what a provider said": (kept_name, ["id", "word", "text"]),
    "an answer laid aside": (laid_aside_name, ["text"]),
    "an assertion that was used": (used_name, ["id", "text"]),
    "a copy of a form": (form_name_of, ["id", "id"]),
    "a caller of the API": (name_of, ["id", "id or none"]),
    "tries": (counted_tries, ["text"]),
    "sums": (sums, ["id", "teams", "teams", "day", "day", "number", "number"]),
}


@pytest.mark.parametrize("what", NAMES)
@given(data=st.data())
def test_two_share_a_name_only_where_they_are_the_same(what: str, data: st.DataObject) -> None:
    name, parts = NAMES[what]
    one = [data.draw(PARTS[part][0]) for part in parts]
    other = [
        data.draw(st.just(value) | PARTS[part][1](value))
        for part, value in zip(parts, one, strict=True)
    ]
    assert (name(*one) == name(*other)) == (one == other)


# Each write into the shared cache, by what names it; each name is in the table above.
WRITES = {
    "accounts/pages/sign_on.py": ["cache.set(laid_aside_name(handle))"],
    "accounts/single_sign_on/oidc.py": ["cache.set(key)"],
    "accounts/single_sign_on/saml.py": ["cache.add(key)"],
    "portal/pages/keys.py": ["cache.add(form_name)"],
    "proxy/usage/kept.py": ["cache.set(name)"],
    # These count: by what is tried, by a caller of the API, or by an address.
    "accounts/api/authentication.py": ["is_ratelimited()"],
    "accounts/api/throttling.py": ["is_ratelimited()"],
    "accounts/leaks/endpoint.py": ["is_ratelimited()"],
    "accounts/oauth/endpoints.py": ["is_ratelimited()"],
    "accounts/pages/throttle.py": ["is_ratelimited()", "is_ratelimited()"],
}
READS = frozenset({"get", "get_many", "delete", "has_key"})
PARTS_OF_THE_PROJECT = ("accounts", "models_registry", "portal", "proxy")


def writes_in(tree: ast.AST) -> list[str]:
    """What a file writes into the cache, and every way to it by another name."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(ast.Name("cache"), method), args=[key, *_]):
                found += [] if method in READS else [f"cache.{method}({ast.unparse(key)})"]
            case ast.Call(func=ast.Name("is_ratelimited")):
                found.append("is_ratelimited()")
            case ast.ImportFrom("django.core.cache" | "django_ratelimit.core", names):
                found += [
                    ast.unparse(node)
                    for one in names
                    if one.asname or one.name not in ("cache", "is_ratelimited")
                ]
            case ast.Import(names) if any("cache" in one.name for one in names):
                found.append(ast.unparse(node))
    return found


def test_nothing_else_is_written_into_the_shared_cache() -> None:
    found = {}
    for part in PARTS_OF_THE_PROJECT:
        for path in sorted((ROOT / part).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if "cache" in text or "is_ratelimited" in text:
                found[str(path.relative_to(ROOT))] = writes_in(ast.parse(text))
    told = {path: writes for path, writes in found.items() if writes}
    assert told == WRITES, "Name the key by a function, put that into NAMES, and the write here."
