"""Forgotten and changed passwords through HTTP. Whether an address is known shows neither in text nor in time."""

import math
import random
import re
import statistics
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django_ratelimit import core
from pytest_django.fixtures import Settings

from accounts.audit import COMMAND
from accounts.links import reset_link
from accounts.models import AuditEntry, Notification, User
from accounts.models.audit import AuditTag
from accounts.models.notifications import NotificationKind
from accounts.writes.people import disable_person
from tests.accounts.rows import PASSWORD, REASON, new_name, new_person

ANOTHER = "quite another passphrase"
FORGOTTEN, CHANGE = "/password/forgotten/", "/password/"


@pytest.fixture(autouse=True)
def no_earlier_tries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Counts begin anew, and no hour ends in the middle of a test."""
    monkeypatch.setattr(core, "time", SimpleNamespace(time=lambda: 1_800_000_000))
    cache.clear()
    yield
    cache.clear()


def text_of(reply: Any) -> str:
    return str(reply.content.decode())


def unknown_address() -> str:
    return f"{new_name('nobody')}@latchkey.test"


def path_of(link: str, settings: Settings) -> str:
    return link.removeprefix(settings.LATCHKEY_BASE_URL)


def without_tokens(page: str) -> str:
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", page)


@pytest.mark.django_db
def test_known_and_unknown_address_get_the_same_reply(client: Client) -> None:
    person, disabled = new_person(), new_person()
    disable_person(disabled, actor=COMMAND, reason=REASON)
    # What other tests committed stands in the table too.
    earlier = list(Notification.objects.values_list("pk", flat=True))
    replies = [
        client.post(FORGOTTEN, {"email": email})
        for email in (person.email, unknown_address(), disabled.email)
    ]
    assert {reply.status_code for reply in replies} == {200}
    assert len({without_tokens(text_of(reply)) for reply in replies}) == 1
    assert len({tuple(sorted(reply.headers.keys())) for reply in replies}) == 1
    mails = Notification.objects.filter(kind=NotificationKind.PASSWORD_RESET)
    assert [mail.person for mail in mails.exclude(pk__in=earlier)] == [person]


def spent_s(email: str) -> float:
    """Return how long the page takes for an address, without the counts of tries."""
    client = Client(REMOTE_ADDR="10.9.0.1")
    began = time.perf_counter()
    assert client.post(FORGOTTEN, {"email": email}).status_code == 200
    return time.perf_counter() - began


def differences_ms(rounds: int) -> tuple[list[float], list[float]]:
    """Return, round by round, by how much known differs from known, and known from unknown; the order goes round."""
    known, also_known = new_person().email, new_person().email
    noise, signal = [], []
    for number in range(rounds):
        emails = [known, also_known, unknown_address()]
        spent = {email: spent_s(email) for email in emails[number % 3 :] + emails[: number % 3]}
        first, second, unknown = (spent[email] * 1000 for email in emails)
        noise.append(first - second)
        signal.append(first - unknown)
    return noise, signal


def shows(noise: list[float], signal: list[float]) -> str:
    """Say by how much unknown is told from known beyond what this machine's noise explains; nothing if by none."""
    middle = statistics.median(signal)
    spread = statistics.median(abs(value - middle) for value in signal)
    # Three standard errors of a median, of a spread measured by its own median.
    error = 3 * 1.2533 * 1.4826 * spread / math.sqrt(len(signal))
    allowed = max(error, 3 * abs(statistics.median(noise)), 0.3)
    return "" if abs(middle) <= allowed else f"{middle:.2f} ms, of which {allowed:.2f} are noise"


def test_measure_tells_a_millisecond_from_none() -> None:
    chance = random.Random(7)
    noise = [chance.gauss(0, 2) for _ in range(120)]
    signal = [chance.gauss(0, 2) for _ in range(120)]
    assert not shows(noise, signal)
    assert shows(noise, [value + 1.4 for value in signal])


@pytest.mark.time_limit_s(180)
def test_time_tells_unknown_from_known_no_better_than_known_from_known(
    committed: None, settings: Settings
) -> None:
    """A difference that is there shows in both series; a neighbour's load does not."""
    settings.RATELIMIT_ENABLE = False
    differences_ms(5)
    assert not (shows(*differences_ms(120)) and (told := shows(*differences_ms(120)))), told


@pytest.mark.django_db
def test_forgotten_passwords_are_throttled_by_address_and_by_peer(client: Client) -> None:
    person = new_person()
    for number in range(5):
        reply = client.post(
            FORGOTTEN, {"email": person.email.upper()}, REMOTE_ADDR=f"10.0.0.{number}"
        )
        assert reply.status_code == 200
    for email in (person.email, f" {person.email} "):
        assert client.post(FORGOTTEN, {"email": email}, REMOTE_ADDR="10.0.1.1").status_code == 429
    assert Notification.objects.filter(person=person).count() == 5
    for _ in range(30):
        client.post(FORGOTTEN, {"email": unknown_address()}, REMOTE_ADDR="10.0.2.1")
    other = new_person()
    reply = client.post(FORGOTTEN, {"email": other.email}, REMOTE_ADDR="10.0.2.1")
    assert reply.status_code == 429
    assert reply["Retry-After"]
    assert not Notification.objects.filter(person=other).exists()


@pytest.mark.django_db
@pytest.mark.parametrize("email", ["", "nobody", "a b@latchkey.test", "<script>@x.test"])
def test_no_address_is_refused_at_its_field(client: Client, email: str) -> None:
    earlier = Notification.objects.count()
    page = text_of(client.post(FORGOTTEN, {"email": email}))
    assert "errorlist" in page
    assert "<script>@" not in page
    assert Notification.objects.count() == earlier


@pytest.mark.django_db
def test_link_sets_a_password_once_and_its_address_holds_no_token_after_the_first_visit(
    client: Client, settings: Settings
) -> None:
    person = new_person()
    path = path_of(reset_link(person), settings)
    token = path.rstrip("/").rsplit("/", 1)[1]
    first = client.get(path)
    assert first.status_code == 302
    assert token not in first["Location"]
    page = client.get(first["Location"])
    assert token not in text_of(page)
    assert page["Referrer-Policy"] == "same-origin"
    assert "no-store" in page["Cache-Control"]
    form = {"new_password1": ANOTHER, "new_password2": ANOTHER}
    assert client.post(first["Location"], form)["Location"] == "/sign-in/"
    person.refresh_from_db()
    assert person.check_password(ANOTHER)
    assert "Sign out" not in text_of(client.get("/"))
    AuditEntry.objects.get(tag=AuditTag.PASSWORD_CHANGED, subject_id=person.pk)
    assert client.get(path).status_code == 404
    assert client.post(first["Location"], form).status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize(
    "spoil", ["used", "another person's", "forged", "disabled", "ended", "no person", "no id"]
)
def test_links_that_lead_nowhere_answer_alike(
    client: Client, settings: Settings, spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = new_person()
    link = path_of(reset_link(person), settings)
    assert Client().get(link).status_code == 302
    uid, token = link.rstrip("/").split("/")[-2:]
    if spoil == "used":
        person.set_password(ANOTHER)
        person.save()
    elif spoil == "another person's":
        token = path_of(reset_link(new_person()), settings).rstrip("/").split("/")[-1]
    elif spoil == "forged":
        token = f"{token[:-1]}{'a' if token[-1] != 'a' else 'b'}"
    elif spoil == "disabled":
        disable_person(person, actor=COMMAND, reason=REASON)
    elif spoil == "ended":
        settings.PASSWORD_RESET_TIMEOUT = -1
    elif spoil == "no person":
        User.objects.filter(pk=person.pk).delete()
    else:
        uid = "!!%00"
    reply = client.get(f"/password/reset/{uid}/{token}/")
    assert reply.status_code == 404
    assert "<h1>This link leads nowhere</h1>" in text_of(reply)
    assert person.email not in text_of(reply)


@pytest.mark.django_db
def test_weak_or_unequal_password_is_refused_and_the_link_goes_on(
    client: Client, settings: Settings
) -> None:
    person = new_person()
    page = client.get(path_of(reset_link(person), settings))["Location"]
    for one, other in (("short", "short"), (ANOTHER, PASSWORD), (person.email, person.email)):
        reply = client.post(page, {"new_password1": one, "new_password2": other})
        assert reply.status_code == 200
        assert "errorlist" in text_of(reply)
    form = {"new_password1": ANOTHER, "new_password2": ANOTHER}
    assert client.post(page, form).status_code == 302


@pytest.mark.django_db
def test_changing_wants_the_old_password_and_keeps_this_session_alone() -> None:
    person = new_person()
    here, elsewhere = Client(), Client()
    here.force_login(person)
    elsewhere.force_login(person)
    form = {"old_password": "not the one", "new_password1": ANOTHER, "new_password2": ANOTHER}
    assert here.post(CHANGE, form).status_code == 200
    person.refresh_from_db()
    assert person.check_password(PASSWORD)
    assert here.post(CHANGE, form | {"old_password": PASSWORD})["Location"] == "/"
    assert "Sign out" in text_of(here.get("/"))
    assert "Sign out" not in text_of(elsewhere.get("/"))
    entry = AuditEntry.objects.get(tag=AuditTag.PASSWORD_CHANGED, subject_id=person.pk)
    assert entry.facts == {"through": "page"}


@pytest.mark.django_db
def test_old_password_cannot_be_guessed_from_a_session_left_open() -> None:
    person = new_person()
    client = Client()
    client.force_login(person)
    form = {"old_password": "a guess", "new_password1": ANOTHER, "new_password2": ANOTHER}
    for _ in range(10):
        assert client.post(CHANGE, form).status_code == 200
    assert client.post(CHANGE, form | {"old_password": PASSWORD}).status_code == 429
    person.refresh_from_db()
    assert person.check_password(PASSWORD)


@pytest.mark.django_db
def test_no_password_is_shown_again(client: Client) -> None:
    person = new_person()
    client.force_login(person)
    form = {"old_password": "canary-old", "new_password1": "canary-new", "new_password2": "x"}
    assert "canary" not in text_of(client.post(CHANGE, form))


@pytest.mark.django_db
@pytest.mark.parametrize("address", [FORGOTTEN, CHANGE])
def test_forms_need_a_token_against_forgery(address: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(new_person())
    assert strict.post(address, {"email": "a@latchkey.test"}).status_code == 403
