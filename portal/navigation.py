"""Where a signed-in person can go, for the navigation that stands on every page."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.access import teams_of
from accounts.models import User

TEAMS_SHOWN = 6
# Label, the route's name, the icon, and the beginning of every address that belongs to it.
_PLACES = (
    (_("Home"), "home", "home", ""),
    (_("Models"), "catalogue", "models", "/models/"),
    (_("Requests"), "requests", "requests", "/requests/"),
    (_("Keys"), "keys", "keys", "/keys/"),
    (_("Usage"), "usage", "usage", "/usage"),
    (_("Calls"), "calls", "calls", "/calls/"),
    (_("Notifications"), "notifications", "mail", "/notifications/"),
    (_("Explain"), "explain", "explain", "/explain/"),
    (_("API"), "api-docs", "api", "/api/"),
)


@dataclass(frozen=True)
class Place:
    """One entry of the navigation."""

    label: str | Promise
    url: str
    icon: str
    is_current: bool


@dataclass(frozen=True)
class Navigation:
    """The places that everybody has, and the person's teams."""

    places: list[Place]
    teams: list[Place]


def navigation_for(request: HttpRequest) -> Navigation:
    """Return where the person of this request can go; nowhere, if nobody is signed in."""
    person = request.user
    if not isinstance(person, User):
        return Navigation([], [])
    places = [_place(request, *row) for row in _PLACES]
    if person.is_staff:
        places.append(_place(request, _("Administration"), "admin:index", "admin", "/admin/"))
    return Navigation(places, _teams(request, person))


def _place(request: HttpRequest, label: str | Promise, route: str, icon: str, below: str) -> Place:
    url = reverse(route)
    is_current = request.path == url or bool(below and request.path.startswith(below))
    return Place(label, url, icon, is_current)


def _teams(request: HttpRequest, person: User) -> list[Place]:
    """The first teams by name, and the way to all of them where there are more."""
    everything = reverse("teams")
    found = list(teams_of(person)[: TEAMS_SHOWN + 1])
    places = []
    for team in found[:TEAMS_SHOWN]:
        url = reverse("team", args=[team.slug])
        places.append(Place(team.name, url, "team", request.path.startswith(url)))
    if len(found) > TEAMS_SHOWN:
        places.append(Place(_("All teams"), everything, "team", request.path == everything))
    return places
