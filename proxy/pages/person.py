from django.http import Http404, HttpRequest

from accounts.models import User


def person_of(request: HttpRequest) -> User:
    """Return who is signed in. No page here is public, so somebody always is. Raises: Http404."""
    if not isinstance(request.user, User):
        raise Http404
    return request.user
