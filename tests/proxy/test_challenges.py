"""Every refusal that asks for a credential says how one is come by."""

from urllib.parse import urlsplit

from django.test import Client

from accounts.oauth.issuer import metadata_of, resource_of
from accounts.ways_in.proven import Door
from proxy.challenges import make_challenges
from proxy.errors import Code


def test_every_refusal_with_401_has_a_challenge_and_only_what_was_presented_is_in_error() -> None:
    challenges = make_challenges()
    assert set(challenges) >= {code for code in Code if code.http_status == 401}
    in_error = {code for code, (_, value) in challenges.items() if b"error=" in value}
    assert set(challenges) - in_error == {Code.MISSING_CREDENTIAL}
    assert {name for name, _ in challenges.values()} == {b"www-authenticate"}


def test_challenge_leads_to_the_description_of_the_calls() -> None:
    address = metadata_of(Door.CALLS)
    _, value = make_challenges()[Code.MISSING_CREDENTIAL]
    assert value.decode() == f'Bearer resource_metadata="{address}"'
    found = Client().get(urlsplit(address).path).json()
    assert found["resource"] == resource_of(Door.CALLS)
