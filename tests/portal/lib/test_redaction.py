import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.credential import make_credential
from portal.lib.redaction import REDACTED, redact

KEY = make_credential().text
SECRETS = {
    "our key": ("{}", KEY),
    "our key in a header": ("Authorization: Bearer {}", KEY),
    "our key cut short": ("got {}", KEY[:24]),
    "our key in a query": ("GET /v1/models?key={}&x=1", KEY),
    "our key in quotes": ('{{"api_key":"{}"}}', KEY),
    "our key in bytes": ("b'{}'", KEY),
    "a client's secret": ("client_secret={}&x=1", "lkcs_AbCd-EfGh_IjKl1234"),
    "a refresh token": ("{}", "lkrt_AbCd-EfGh_IjKl1234"),
    "a device's code": ("{}", "lkdc_AbCd-EfGh_IjKl1234"),
    "OpenAI's": ("invalid key: {}", "sk-proj-AbCdEfGhIjKlMnOp_1234"),
    "OpenAI's, old": ("{}.", "sk-AbCdEfGhIjKlMnOp1234"),
    "Anthropic's": ("{}", "sk-ant-api03-AbCdEfGh-1234"),
    "Groq's": ("{}", "gsk_AbCdEfGhIjKl"),
    "Hugging Face's": ("{}", "hf_AbCdEfGhIjKl"),
    "a forge's": ("{}", "ghp_AbCdEfGhIjKl"),
    "a chat's": ("{}", "xoxb-1234567890-abc"),
    "JWT": ("token {}", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"),
    "any bearer": ("authorization: bearer {}", "0123456789abcdef"),
    "password in a URL": ("postgresql://{}@host/db", "app:hunter2hunter2"),
    "password without a user": ("redis://{}@host/0", ":hunter2hunter2"),
    "password with an at": ("redis://{}@host/0", "u:hunter2@hunter2"),
    "an invitation's link": (
        "GET /invitations/{}/",
        "018f4e7a12347abc8def0123456789ab.AbCdEfGh-1234_IjKl",
    ),
    "an invitation's link, cut short": ("Not Found: /invitations/{}", "018f4e7a12347abc"),
    "an invitation's link, encoded": ("/invitations/{}?x=1", "018f4e7a%2EAbCdEfGh"),
    "a new password's link": ("GET /password/reset/{}/", "MDE4Zg/cxyz12-0123456789abcdef"),
    "a new password's link, cut short": ("/password/reset/{}", "MDE4Zg/cxyz12-0123"),
    "password of a connection": ("host=h password={} port=1", "hunter2hunter2"),
}


@pytest.mark.parametrize("case", SECRETS.values(), ids=SECRETS)
def test_secret_is_taken_out_of_the_text_around_it(case: tuple[str, str]) -> None:
    form, secret = case
    seen = redact(form.format(secret))
    assert secret not in seen
    assert seen == form.format(REDACTED)


@pytest.mark.parametrize(
    "text",
    [
        "lk_0123456789AB_…",
        "GET http://127.0.0.1:8000/v1/models",
        "Key of team ask-me ends 2027-01-01.",
        "018f4e7a-1234-7abc-8def-0123456789ab",
        "The task-queue desk-top risk-assessment went well.",
        "mail@example.test",
        "GET /invitations/open/",
        "GET /password/reset/done/",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


@given(st.text(), st.text())
def test_whole_key_never_stays_wherever_it_stands(before: str, after: str) -> None:
    assert KEY not in redact(f"{before}{KEY}{after}")


@given(st.text())
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)


def test_long_hostile_text_is_redacted_in_time() -> None:
    started = time.monotonic()
    for part in (
        "lk_",
        "lk_aaaa_",
        "://",
        "://a:",
        "a:",
        "eyJ",
        "-eyJ",
        "eyJaaaaaaaa.",
        "sk-",
        "bearer ",
        "invitations/",
        "password/reset/",
        "password/reset/a",
    ):
        redact("://" + part * 100_000)
    assert time.monotonic() - started < 5
