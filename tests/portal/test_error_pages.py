"""What went wrong is said with the house's own pages, in the right status, and never with what happened inside."""

from collections.abc import Callable
from types import ModuleType
from typing import NoReturn

import pytest
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import HttpRequest
from django.test import Client
from django.urls import path
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings
from redis.exceptions import ConnectionError as StoreAway

import portal.urls
from tests.accounts.rows import new_person

pytestmark = pytest.mark.django_db
CANARY = "lk_canary-of-the-inside"


def failing(error: Exception) -> Callable[[HttpRequest], NoReturn]:
    def view(request: HttpRequest) -> NoReturn:
        raise error

    return view


FAULTS: dict[str, Exception] = {
    "403": PermissionDenied(CANARY),
    "500": RuntimeError(CANARY),
    "503": OperationalError(CANARY),
    "503-store": StoreAway(CANARY),
}


@pytest.fixture(autouse=True)
def failing_routes(settings: Settings) -> None:
    urls = ModuleType("urls_with_faults")
    vars(urls).update(vars(portal.urls))
    faults = [path(f"{name}/", failing(error)) for name, error in FAULTS.items()]
    urls.urlpatterns = [*portal.urls.urlpatterns, *faults]  # type: ignore[attr-defined]
    settings.ROOT_URLCONF = urls


@pytest.fixture
def person_client() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(new_person())
    return client


@pytest.mark.parametrize(
    ("address", "status", "text"),
    [
        ("/403/", 403, "You may see this, but not do that"),
        ("/nowhere/", 404, "There is nothing here"),
        ("/500/", 500, "Something went wrong here"),
        ("/503/", 503, "Not available right now"),
        ("/503-store/", 503, "Not available right now"),
    ],
)
def test_fault_has_its_page_and_says_nothing_of_the_inside(
    person_client: Client, address: str, status: int, text: str
) -> None:
    reply = person_client.get(address)
    page = reply.content.decode()
    assert reply.status_code == status
    assert f"<h1>{text}</h1>" in page
    assert "latchkey.css" in page
    assert CANARY not in page
    assert "Traceback" not in page
    assert "script-src 'self'" in reply["Content-Security-Policy"]


def test_malformed_request_has_its_page(client: Client) -> None:
    reply = client.get("/", headers={"host": "evil.test"})
    assert reply.status_code == 400
    assert "<h1>This request cannot be read</h1>" in reply.content.decode()
    assert "evil.test" not in reply.content.decode()


def test_form_without_a_token_has_its_page() -> None:
    reply = Client(enforce_csrf_checks=True).post("/sign-in/", {"username": CANARY})
    assert reply.status_code == 403
    assert "<h1>This form is no longer valid</h1>" in reply.content.decode()


def test_store_that_is_away_is_waited_for(person_client: Client) -> None:
    assert person_client.get("/503/")["Retry-After"] == "30"


@pytest.mark.parametrize("address", ["/500/", "/503/"])
def test_page_of_a_failure_asks_the_database_nothing_more(
    person_client: Client, address: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # The session and the person, which were asked for before the failure.
    with django_assert_num_queries(2):
        person_client.get(address)
