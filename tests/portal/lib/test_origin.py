import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.lib.origin import Origin


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("http://vllm:8000/v1", Origin("http", "vllm", 8000), b"/v1"),
        ("https://API.Example.com/v1/", Origin("https", "api.example.com", 443), b"/v1"),
        ("HTTPS://a.b", Origin("https", "a.b", 443), b""),
        ("http://a", Origin("http", "a", 80), b""),
        ("http://10.1.2.3:1/a/b%20c", Origin("http", "10.1.2.3", 1), b"/a/b%20c"),
        ("http://[::1]:80/", Origin("http", "::1", 80), b""),
        ("https://[2001:DB8:0:0::1]/x@y", Origin("https", "2001:db8::1", 443), b"/x@y"),
        ("http://my_service.internal", Origin("http", "my_service.internal", 80), b""),
        ("http://xn--bcher-kva.example", Origin("http", "xn--bcher-kva.example", 80), b""),
    ],
)
def test_base_urls_are_read_into_origin_and_path(url: str, origin: Origin, path: bytes) -> None:
    assert Origin.from_url(url) == (origin, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://a/",
        "file:///etc/passwd",
        "gopher://a",
        "a.example/v1",
        "//a.example",
        "http:a.example",
        "http:///a.example",
        "http://",
        "http://:80",
        "http://user@a/",
        "http://user:canary@a/",
        "http://a@169.254.169.254/",
        "http://a/#canary",
        "http://a/?x=canary",
        "http://a?@b",
        "http://a\\@b/",
        "http://a\\b/",
        "http://a b/",
        "http://a/b c",
        "http://a\t/",
        "http://a/\r\nx: y",
        "http://a\n",
        "http://a\0/",
        "http://bücher.example/",
        "http://a\uff0eb/",
        "http://0x7f.1/",
        "http://0x7f000001",
        "http://2130706433",
        "http://127.1",
        "http://017700000001",
        "http://0177.0.0.1",
        "http://127.0.0.01",
        "http://127.0.0.1.",
        "http://1.2.3.4.5",
        "http://256.1.1.1",
        "http://a.0x7f",
        "http://a.b.",
        "http://a..b",
        "http://.a",
        "http://-a.b",
        "http://a-.b",
        f"http://{'a' * 64}.b",
        f"http://{'a.' * 130}b",
        "http://[::1",
        "http://[::1]x",
        "http://::1/",
        "http://[fe80::1%25eth0]/",
        "http://[127.0.0.1]/",
        "http://[v1.x]/",
        "http://a:0",
        "http://a:65536",
        "http://a:-1",
        "http://a:8o",
        "http://a:",
    ],
)
def test_other_urls_are_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="base URL") as refusal:
        Origin.from_url(url)
    assert "canary" not in str(refusal.value)


@given(st.text(max_size=30).map("http://".__add__))
def test_no_text_becomes_an_origin_that_could_break_a_header(url: str) -> None:
    try:
        origin, path = Origin.from_url(url)
    except ValueError:
        return
    assert set(origin.host_header() + path) <= set(range(0x21, 0x7F))


def test_the_host_header_leaves_the_default_port_out() -> None:
    assert Origin("https", "a.b", 443).host_header() == b"a.b"
    assert Origin("https", "a.b", 80).host_header() == b"a.b:80"
    assert Origin("http", "::1", 8080).host_header() == b"[::1]:8080"


@given(st.from_regex(r"https?://[a-z0-9.:\[\]-]{1,20}", fullmatch=True))
def test_the_written_origin_is_read_as_the_same_one(url: str) -> None:
    try:
        origin, _ = Origin.from_url(url)
    except ValueError:
        return
    assert Origin.from_url(str(origin)) == (origin, b"")
