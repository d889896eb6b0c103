"""The admin's site: only staff see it, everybody else finds nothing there, and nobody signs in but at the portal's page."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from csp.decorators import csp_update
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy
from unfold.sites import UnfoldAdminSite

# Signing out and passwords have pages of their own; nothing here is looked up by typing or opened in the portal.
_NOT_SERVED = {
    "logout",
    "password_change",
    "password_change_done",
    "autocomplete",
    "search",
    "view_on_site",
}
# The theme's menus are Alpine expressions, which are compiled in the browser. Nothing else may do so.
ALLOW_EVAL = {"script-src": ["'unsafe-eval'"]}

View = Callable[..., HttpResponseBase]


class PortalAdminSite(UnfoldAdminSite):  # type: ignore[misc]
    """Django's admin behind the portal's own sign-in."""

    enable_nav_sidebar = True
    index_template = "admin/latchkey/home.html"
    index_title = gettext_lazy("Home")

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Take in the portal's own parts alone: libraries bring parts that write without a named write or an audit."""
        from accounts.admin.base import PortalAdmin  # noqa: PLC0415 - it is made for this site.

        if admin_class is not None and issubclass(admin_class, PortalAdmin):
            super().register(model_or_iterable, admin_class, **options)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        # The form is of the admin's parts, which register with this site.
        from accounts.admin.revoke_keys import revoke_keys_page  # noqa: PLC0415 - as above.
        from portal.admin_explain import explain_page  # noqa: PLC0415

        served = [
            found for found in super().get_urls() if getattr(found, "name", None) not in _NOT_SERVED
        ]
        return [
            path("explain/", self.admin_view(explain_page), name="explain"),
            path("revoke-keys/", self.admin_view(revoke_keys_page), name="revoke-keys"),
            *served,
        ]

    def admin_view(self, view: View, cacheable: bool = False) -> View:  # noqa: FBT001, FBT002 - Django's own form.
        inner = csp_update(ALLOW_EVAL)(super().admin_view(view, cacheable))

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not self.has_permission(request):
                return _turn_away(request, to=request.get_full_path())
            answer: HttpResponseBase = inner(request, *args, **kwargs)
            return answer

        return guarded

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Lead to the portal's sign-in, and whoever is signed in to where they wanted to go."""
        wanted = request.GET.get("next", "")
        home = reverse("admin:index")
        is_ours = url_has_allowed_host_and_scheme(
            wanted, {request.get_host()}, require_https=request.is_secure()
        )
        target = wanted if is_ours and wanted.startswith(home) else home
        if self.has_permission(request):
            return HttpResponseRedirect(target)
        return _turn_away(request, to=target)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        # The parts of the admin register with this site, so that it exists before them.
        from accounts.admin.base import acting_person  # noqa: PLC0415
        from portal import admin_home  # noqa: PLC0415

        return super().index(
            request, {**admin_home.facts(acting_person(request)), **(extra_context or {})}
        )


def _turn_away(request: HttpRequest, *, to: str) -> HttpResponse:
    """A stranger may sign in; whoever is signed in and is not staff finds nothing here."""
    if request.user.is_authenticated:
        raise Http404
    return redirect_to_login(to)
