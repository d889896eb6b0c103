import pytest

from portal.lib.store_url import store_place

SAME = [
    ("redis://h/0", "redis://h:6379"),
    ("redis://h", "rediss://:password@h:6379/0"),
    ("redis://h?db=2", "redis://user@h/2"),
    ("redis://localhost/1", "redis://127.0.0.1/1"),
    ("redis://localhost/1", "redis://[::1]:6379/01"),
    ("redis:///1", "redis://LOCALHOST./1"),
    ("redis://127.0.0.2/1", "redis://[::ffff:127.0.0.1]/1"),
    ("redis://0.0.0.0/1", "redis://[::]/1"),
    ("redis://[fd00:0::5]/1", "redis://[fd00::5]/1"),
    ("unix:///run/v.sock?db=3", "redis+socket:///run/v.sock?virtual_host=3"),
    ("unix:///run/v.sock", "unix://:password@/run/v.sock?db=0"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_spellings_of_one_database_are_the_same_place(one: str, other: str) -> None:
    assert store_place(one) == store_place(other)


def test_other_databases_hosts_and_ports_are_other_places() -> None:
    urls = ["redis://h/0", "redis://h/1", "redis://h:6380/0", "redis://g/0", "unix:///v?db=0"]
    assert len({store_place(url) for url in urls}) == len(urls)
