"""Links that let somebody in by mail. Their secrets are made when the mail is sent, and stored nowhere."""

import uuid

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core.signing import BadSignature, Signer
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from accounts.models import Invitation, User

_SIGNER = Signer(salt="latchkey.invitation", sep=".")


def reset_link(person: User) -> str:
    """Return a link by which the person chooses a new password, once, within an hour.

    It ends with the first password change and with the next sign-in.
    """
    uid = urlsafe_base64_encode(force_bytes(person.pk))
    token = default_token_generator.make_token(person)
    return _absolute(reverse("password-reset", args=[uid, token]))


def invitation_link(invitation: Invitation) -> str:
    """Return the link by which the invitation is accepted. It holds nothing but the row's id and its signature."""
    return _absolute(reverse("invitation", args=[_SIGNER.sign(invitation.id.hex)]))


def invitation_of(token: str) -> Invitation | None:
    """Return the invitation that a link's token is of, whatever its state; None for a token that is not ours."""
    try:
        invitation_id = uuid.UUID(hex=_SIGNER.unsign(token))
    except (BadSignature, ValueError):
        return None
    return Invitation.objects.select_related("team", "invited_by").filter(pk=invitation_id).first()


def _absolute(path: str) -> str:
    return f"{settings.LATCHKEY_BASE_URL}{path}"
