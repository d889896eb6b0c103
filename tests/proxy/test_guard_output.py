"""What an upstream says beside an answer: bounded, clean, and never its own credential."""

import time

import pytest

from proxy.errors import Code, Refusal
from proxy.guard_output import ERROR_BYTES_MAX, contains_secret, refusal_for_status
from proxy.upstreams.answer import UpstreamAnswer
from tests.proxy.principals import a_route

SECRET = "sk-upstream-Qm4Zt8Wc2Vb6Nx1K"


def answered(status: int, *headers: tuple[bytes, bytes]) -> UpstreamAnswer:
    """An answer's head."""
    answer = UpstreamAnswer(max_body_bytes=10**7, attempts=1)
    lines = b"".join(b"%s: %s\r\n" % field for field in headers)
    head = b"HTTP/1.1 %d X\r\n%scontent-length: 0\r\n\r\n" % (status, lines)
    answer.framing.feed(memoryview(head))
    return answer


def refusal(status: int, body: bytes = b"", *headers: tuple[bytes, bytes]) -> Refusal:
    return refusal_for_status(answered(status, *headers), body, a_route(credential=SECRET))


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [(b"7", 7), (b"119", 119), (b"121", 120), (b"100000", 120), (b"9" * 7000, 120), (b"", 1),
     (b"-5", 1), (b"1.5", 1), (b"\xb2", 1), (b"Wed, 21 Oct 2026 07:28:00 GMT", 1)],
)  # fmt: skip
def test_a_wait_is_bounded_however_it_is_written(value: bytes, wait_s: int) -> None:
    refused = refusal(503, b"", (b"retry-after", value))
    assert (refused.code, refused.retry_after_s) == (Code.UPSTREAM_BUSY, wait_s)


def test_words_pass_from_a_small_error_and_not_from_a_huge_one() -> None:
    start, end = b'{"error":{"message":"Too long.","pad":"', b'"}}'
    room = ERROR_BYTES_MAX - len(start) - len(end)
    assert refusal(400, start + b"a" * room + end).seen == "Too long."
    assert refusal(400, start + b"a" * (room + 1) + end).seen == ""


@pytest.mark.parametrize("said", [SECRET, SECRET[:9], SECRET[-8:], f"a{SECRET[5:14]}b"])
def test_words_with_any_stretch_of_the_credential_do_not_pass(said: str) -> None:
    assert refusal(400, b'{"message":"Key %s"}' % said.encode()).seen == ""
    assert contains_secret(f"x{said}y", SECRET)


@pytest.mark.parametrize(
    ("text", "secret", "found"),
    [("", SECRET, False), ("abc", "", False), ("", "", False), ("xabcx", "abc", True),
     ("ab", "abc", False), (SECRET[:7], SECRET, False)],
)  # fmt: skip
def test_short_texts_and_short_secrets_are_compared_too(
    text: str, secret: str, found: bool
) -> None:
    assert contains_secret(text, secret) is found


def test_looking_for_a_long_secret_takes_no_longer_than_the_text_and_it() -> None:
    secret = "".join(chr(97 + n * n % 26) for n in range(8000))
    started = time.thread_time()
    contains_secret("b" * ERROR_BYTES_MAX, secret)
    assert time.thread_time() - started < 0.3
