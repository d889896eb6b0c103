from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from accounts.models import User


def person_of(request: HttpRequest) -> User:
    """Return who is signed in. Raises: PermissionDenied, where a page was opened to strangers by mistake."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user
