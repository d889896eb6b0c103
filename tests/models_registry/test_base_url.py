import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from models_registry.base_url import validate_base_url
from proxy.upstreams.origin import Origin

GOOD = [
    "http://vllm:8000/v1",
    "http://localhost:11434/v1",
    "http://gpu_01/v1",
    "https://api.example.com",
    "https://API.example.com/openai/deployments/x",
    "http://10.0.0.5:8000/v1",
    "http://[fd00::5]:8000/v1",
]
BAD = [
    "",
    "vllm:8000/v1",
    "ftp://host/v1",
    "file:///etc/passwd",
    "https://",
    "https://user:hunter2@host/v1",
    "https://user@host/v1",
    "https://host/v1?key=x",
    "https://host/v1#x",
    "https://host:0/v1",
    "https://host:65536/v1",
    "https://host:/v1",
    "https://host /v1",
    "https://host\\@evil/v1",
    "https://host\n/v1",
    "https://hóst/v1",
    "https://host./v1",
    "https://-host/v1",
    "https://a..b/v1",
    "http://2130706433/v1",
    "http://0x7f.1/v1",
    "http://127.1/v1",
    "http://0177.0.0.1/v1",
    "http://127.0.0.1./v1",
    "http://[::1/v1",
    "http://[fe80::1%25eth0]/v1",
    f"http://{'a' * 64}/v1",
]


@pytest.mark.parametrize("url", GOOD)
def test_address_of_a_server_is_accepted_and_read_by_the_gateway(url: str) -> None:
    validate_base_url(url)
    Origin.from_url(url)


@pytest.mark.parametrize("url", BAD)
def test_address_that_parsers_could_read_differently_is_refused(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        validate_base_url(url)
    assert "hunter2" not in str(refused.value)


WORDS = ["http://", "https://", "host", "127", ".", ":", "80", "[", "]", "::1", "@", "/", "v1"]
PIECES = st.sampled_from([*WORDS, *"%?#\\-_ \u00e9", "0x1", "999999", "x" * 64])


@given(st.lists(PIECES, max_size=8).map("".join))
def test_whatever_is_accepted_is_read_by_the_gateway(url: str) -> None:
    try:
        validate_base_url(url)
    except ValidationError:
        return
    Origin.from_url(url)
