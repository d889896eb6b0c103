import pytest

from accounts.links import invitation_link, invitation_of
from tests.accounts.test_invitations import new_invitation


@pytest.mark.django_db
def test_link_leads_to_its_invitation_and_no_other_token_does() -> None:
    invitation, _ = new_invitation()
    token = invitation_link(invitation).rstrip("/").rsplit("/", 1)[1]
    assert invitation_of(token) == invitation
    swapped = new_invitation()[0].pk.hex + token[32:]
    for forged in (
        "",
        ".",
        invitation.pk.hex,
        token[:-1],
        token + "x",
        swapped,
        "x" * 5000,
        "é.\0",
    ):
        assert invitation_of(forged) is None
