"""T9: every route is closed to strangers unless it stands on a short list. T4: forged hosts change nothing.

T5: neither does the header that a credential comes in.
"""

import itertools
import re
from collections.abc import Iterator
from types import ModuleType

import pytest
from django.conf import settings as django_settings
from django.contrib.staticfiles import finders
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, path, resolve
from pytest_django.fixtures import Settings

import portal.urls
from accounts.oauth.issuer import resource_of
from accounts.ways_in.proven import Door
from portal import sign_in_required
from portal.sign_in_required import PUBLIC_VIEWS
from tests.accounts.oauth.world import Visit, new_web_client
from tests.accounts.rows import PASSWORD, new_member, new_person, new_team
from tests.asking_api import personal_key
from tests.walks import IS_WHOLE

pytestmark = pytest.mark.django_db
BY_KIND = {
    "ENTRY": "home sign-in sign-in-passkey second-factor sign-on password-forgotten",
    "PROVIDERS_ANSWERS": "sign-on-answer sign-on-saml sign-on-callback sign-on-metadata",
    "MAILED_LINKS": "password-reset invitation",
    "OAUTH_PROTOCOL": "oauth-token oauth-revoke oauth-introspect oauth-device-authorization oauth-server-metadata "
    "oauth-resource-metadata oauth-resource-metadata-of oauth-jwks",
    "HEALTH": "health-live health-ready",
    "SIGNED_REPORTS": "leaks-github",
}
SHORT_LIST = {name for names in BY_KIND.values() for name in names.split()}
METHODS = ("get", "post", "put", "patch", "delete", "head", "options")


def methods_for(address: str) -> tuple[str, ...]:
    """How it is asked: by every method in the proof `gate`, else by the two that pages know and one of the others."""
    if IS_WHOLE:
        return METHODS
    others = METHODS[2:]
    return (*METHODS[:2], others[sum(address.encode()) % len(others)])


def every_route(
    patterns: list[URLPattern | URLResolver] | None = None, prefix: str = "/"
) -> Iterator[tuple[str, str]]:
    """Yield (address, name) of every route, however deep."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            yield from every_route(pattern.url_patterns, prefix + str(pattern.pattern))
        else:
            yield prefix + str(pattern.pattern), pattern.name or ""


def is_api(address: str) -> bool:
    """Whether it refuses strangers in its own form."""
    return address.startswith("/api/v1/")


def filled(address: str) -> str:
    """The route's address with something in every place."""
    return re.sub(r"<(?:(\w+):)?\w+>", lambda found: PLACES[found[1] or "str"], address)


PLACES = {
    "str": "a",
    "slug": "a",
    "int": "1",
    "uuid": "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071",
    "row": "1",
    "model_name": "a/b",
    "path": "a",
}


def test_short_list_is_the_one_that_was_decided() -> None:
    decided = {kind: set(names.split()) for kind, names in BY_KIND.items()}
    assert {kind: getattr(sign_in_required, kind) for kind in BY_KIND} == decided
    assert PUBLIC_VIEWS == SHORT_LIST
    assert {name for _, name in every_route()} >= SHORT_LIST


def is_call(address: str) -> bool:
    """Whether it is one of the paths of calls, which speak OpenAI's language."""
    return address.startswith(("/v1/", "/^v1"))


PAGES = sorted(
    (filled(address), name)
    for address, name in every_route()
    if not is_api(address) and not is_call(address)
)
CALLS = sorted({filled(address) for address, _ in every_route() if address.startswith("/v1/")})
API = sorted({filled(address) for address, _ in every_route() if is_api(address)})


@pytest.mark.parametrize("address", API)
def test_stranger_is_refused_by_every_route_of_the_api(client: Client, address: str) -> None:
    assert getattr(resolve(address).func, "cls").refuses_strangers_itself  # noqa: B009 - DRF's own.
    for method in methods_for(address):
        reply = getattr(client, method)(address)
        assert reply.status_code == 401, method
        assert reply["Content-Type"] == "application/problem+json", method


# Many routes by many methods in the proof, on a machine that may be busy.
@pytest.mark.time_limit_s(600 if IS_WHOLE else 60)
def test_credential_is_decided_on_alike_in_either_header_by_every_route_of_the_api(
    client: Client, settings: Settings
) -> None:
    settings.LATCHKEY_API_REQUESTS_PER_MINUTE = 100_000
    visit = Visit.of(new_web_client())
    credentials = {
        "key": personal_key(visit.person, visit.team).text,
        "token": visit.tokens(resource=resource_of(Door.MANAGEMENT))["access_token"],
        "junk": "no credential",
    }
    told: dict[str, set[int]] = {kind: set() for kind in credentials}
    asked = [*itertools.product(METHODS, credentials)]
    for number, address in enumerate(API):
        # In the suite the pairs take turns at the routes.
        for method, kind in asked if IS_WHOLE else (asked[number % len(asked)],):
            text = credentials[kind]
            carried = {"authorization": f"Bearer {text}"}, {"x-api-key": text}
            statuses = {status_undone(client, method, address, one) for one in carried}
            assert len(statuses) == 1, (method, address, kind)
            told[kind] |= statuses
    assert told["junk"] == {401}
    assert 401 not in told["key"] | told["token"] >= {403, 404, 405}


def status_undone(client: Client, method: str, address: str, headers: dict[str, str]) -> int:
    """What is answered, with whatever it did undone."""
    with transaction.atomic():
        reply = getattr(client, method)(address, headers=headers, content_type="application/json")
        transaction.set_rollback(True)
    return int(reply.status_code)


@pytest.mark.parametrize("address", [*CALLS, "/v1/nowhere", "/v1/", "/v1"])
def test_stranger_is_refused_by_every_path_of_calls(client: Client, address: str) -> None:
    assert getattr(resolve(address).func, "cls").refuses_strangers_itself  # noqa: B009 - DRF's own.
    answers = "get" if "models" in address else "post"
    is_there = address in CALLS
    for method in METHODS:
        reply = getattr(client, method)(address, content_type="application/json")
        expected = 404 if not is_there else 401 if method == answers else 405
        assert reply.status_code == expected, method
        assert reply["Content-Type"] == "application/json", method


@pytest.mark.parametrize(("address", "name"), PAGES)
def test_stranger_is_sent_to_sign_in_from_every_other_route(
    client: Client, address: str, name: str
) -> None:
    for method in methods_for(address):
        # A page that anybody may see gives a visitor a cookie, which is not to speak for the next method.
        client.cookies.clear()
        reply = getattr(client, method)(address)
        is_sent_away = reply.status_code == 302 and reply["Location"].startswith("/sign-in/?next=")
        assert is_sent_away == (name not in SHORT_LIST), method


def a_new_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("inside")


def test_new_page_is_closed_until_it_is_put_on_the_list(client: Client, settings: Settings) -> None:
    routes = [*portal.urls.urlpatterns, path("new/", a_new_page, name="new")]
    urls = ModuleType("urls_with_a_new_page")
    urls.urlpatterns = routes  # type: ignore[attr-defined]
    settings.ROOT_URLCONF = urls
    assert client.get("/new/").status_code == 302
    assert client.get("/new/", HTTP_X_ORIGINAL_URL="/", HTTP_X_REWRITE_URL="/").status_code == 302
    client.force_login(new_person())
    assert client.get("/new/").content == b"inside"


@pytest.mark.parametrize("host", ["evil.test", "testserver.evil.test", "testserver@evil.test", ""])
def test_other_host_is_refused(client: Client, host: str) -> None:
    assert client.get("/").status_code == 200
    assert client.get("/", headers={"host": host}).status_code == 400
    assert client.get("/", headers={"x-forwarded-host": host or "x"}).status_code == 200


FORWARDED = {
    "x-forwarded-host": "evil.test",
    "x-forwarded-prefix": "/health/live",
    "forwarded": "for=127.0.0.1;host=evil.test",
    "x-original-url": "/health/live",
    "x-rewrite-url": "/health/live",
    "x-http-method-override": "GET",
}


# Many routes by many hosts, on a machine that may be busy.
@pytest.mark.time_limit_s(180)
@pytest.mark.parametrize("is_administrator", [False, True])
def test_no_route_is_reached_by_a_forged_host_and_none_decides_by_one(
    client: Client, *, is_administrator: bool
) -> None:
    if is_administrator:
        client.force_login(new_person(is_administrator=True))
    plain = set()
    addresses = [*CALLS, *API, *(address for address, _ in PAGES)]
    # In the suite the two take turns at the routes.
    asked = addresses if IS_WHOLE else addresses[is_administrator::2]
    # Hosts are told apart before routes are: one of the three for each route.
    hosts = itertools.cycle(("evil.test", "testserver@evil.test", ""))
    for address in asked:
        refused = client.get(address, headers={"host": next(hosts)})
        assert refused.status_code in (400, 421), address
        status = client.get(address).status_code
        assert client.get(address, headers=FORWARDED).status_code == status, address
        plain.add(status)
    assert plain >= ({200, 401, 404} if is_administrator else {200, 302, 401})


EVERY_REPLY = ["/", "/sign-in/", "/nowhere", "/health/live", "/static/latchkey.css"]
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@pytest.mark.parametrize("address", EVERY_REPLY)
def test_every_reply_has_the_security_headers(client: Client, address: str) -> None:
    reply = client.get(address)
    own = {"X-Frame-Options"} if address.startswith("/static/") else set()
    for name, value in HEADERS.items():
        assert name in own or reply[name] == value
    # A file is read while it is sent, and closed after it.
    assert reply.getvalue()
    reply.close()


@pytest.mark.parametrize("address", ["/", "/sign-in/", "/nowhere"])
def test_content_security_policy_is_strict(client: Client, address: str) -> None:
    policy = dict(
        directive.strip().split(" ", 1)
        for directive in client.get(address)["Content-Security-Policy"].split(";")
        if directive.strip()
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert not any("unsafe" in value or "*" in value for value in policy.values())


@pytest.mark.parametrize("address", ["/", "/sign-in/"])
def test_page_needs_nothing_that_the_policy_forbids(client: Client, address: str) -> None:
    page = client.get(address).content.decode()
    assert "<style" not in page
    assert " style=" not in page
    assert "<script>" not in page
    assert "javascript:" not in page
    assert finders.find("latchkey.css")


def test_request_id_is_ours_and_new_for_each_reply(client: Client) -> None:
    ids = {client.get("/", headers={"x-request-id": "forged"})["X-Request-Id"] for _ in range(3)}
    assert len(ids) == 3
    assert "forged" not in ids


def test_home_shows_memberships_to_the_person_alone(client: Client) -> None:
    team = new_team()
    member = new_member(team)
    assert team.name not in client.get("/").content.decode()
    client.force_login(member)
    page = client.get("/").content.decode()
    assert team.name in page
    assert f"{django_settings.LATCHKEY_BASE_URL}/v1" in page
    client.force_login(new_person())
    assert team.name not in client.get("/").content.decode()


def test_name_of_a_team_is_shown_as_text(client: Client) -> None:
    member = new_member(new_team())
    team = member.memberships.get().team
    team.name = "<script>alert(1)</script>"
    team.save()
    client.force_login(member)
    page = client.get("/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_demonstration_is_named_on_every_page(client: Client, settings: Settings) -> None:
    assert "This is a demonstration" not in client.get("/").content.decode()
    settings.LATCHKEY_DEMONSTRATION = True
    for address in ("/", "/sign-in/"):
        assert "This is a demonstration" in client.get(address).content.decode()


def test_password_is_one_that_signs_in() -> None:
    assert Client().login(username=new_person().email, password=PASSWORD)


def test_pages_wait_for_no_language_that_is_not_there(client: Client) -> None:
    for accepted in ("", "fr", "en-GB,en;q=0.5", "../../etc"):
        page = client.get("/", headers={"accept-language": accepted}).content.decode()
        assert '<html lang="en" dir="ltr">' in page
