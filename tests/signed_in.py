"""What a sign-in by password leaves in a session, for sessions that begin without the form."""

import time

from django.test import Client

from accounts.models import User


def leave_proof(client: Client, person: User) -> None:
    """Say in the session that the person has proven who they are, just now, by their password."""
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
    session["account_authentication_methods_user"] = str(person.pk)
    session.save()
