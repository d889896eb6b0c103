import uuid
from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ReasonForm
from accounts.admin.base import PortalAdmin
from accounts.admin.bounds import bounds_act, bounds_facts
from accounts.admin.cells import NOTHING, Cell, code, link_to, moment, pill, whole
from accounts.admin.lists import ChoiceFilter, RelatedFilter
from accounts.audit import acting
from accounts.key_use import use_of_old_secret
from accounts.models import ApiKey, User
from accounts.roles import PortalRight
from accounts.writes.idle_keys import enable_key
from accounts.writes.key_rotation import end_old_secret
from accounts.writes.keys import revoke_key
from portal.lib.clock import utc_now


class LifeFilter(ChoiceFilter):
    title = gettext_lazy("state")
    parameter_name = "life"

    def choices_for(self, request: HttpRequest) -> list[tuple[str, str]]:
        return [
            ("live", _("Live")),
            ("disabled", _("Disabled")),
            ("revoked", _("Revoked")),
            ("ended", _("Ended")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        now = utc_now()
        states = {
            "live": Q(revoked_at=None, disabled_at=None, expires_at__gt=now),
            "disabled": Q(revoked_at=None, disabled_at__isnull=False, expires_at__gt=now),
            "revoked": Q(revoked_at__isnull=False),
            "ended": Q(revoked_at=None, expires_at__lte=now),
        }
        chosen = self.chosen()
        return queryset if chosen is None else queryset.filter(states[chosen])


def _revoke(key: ApiKey, actor: User, values: dict[str, Any]) -> None:
    revoke_key(key, actor=acting(actor), reason=values["reason"])


def _enable(key: ApiKey, actor: User, values: dict[str, Any]) -> None:
    enable_key(key, actor=acting(actor))


def _end_old_secret(key: ApiKey, actor: User, values: dict[str, Any]) -> None:
    end_old_secret(key, actor=acting(actor))


@admin.register(ApiKey)
class KeyAdmin(PortalAdmin):
    """Keys, for reading and revoking. One is issued in the portal, by whom it is shown to."""

    sees = PortalRight.SEE_PEOPLE
    right = PortalRight.REVOKE_KEYS
    list_display = ("shown", "name", "team", "holder", "state", "ends", "used")
    list_filter = (LifeFilter, ("team", RelatedFilter))
    list_select_related = ("team", "service_account", "person", "use", "previous_use")
    search_fields = ("public_id", "name", "team__name", "person__email", "service_account__name")
    search_help_text = gettext_lazy("Key, name, team or holder")
    # Ids are in the order of time, and their index spares sorting every key there is.
    ordering = ("-id",)
    acts = (
        bounds_act(),
        Act(
            "enable",
            gettext_lazy("Enable"),
            _enable,
            gettext_lazy("The key is enabled."),
            shows=lambda key: key.revoked_at is None and key.disabled_at is not None,
        ),
        Act(
            "end-old-secret",
            gettext_lazy("End the old secret"),
            _end_old_secret,
            gettext_lazy("The old secret is refused within a second."),
            shows=lambda key: key.revoked_at is None and key.has_two_secrets(now=utc_now()),
            warning=gettext_lazy(
                "Applications that still call with it are refused within a second, and their open streams are cut."
            ),
            is_danger=True,
        ),
        Act(
            "revoke",
            gettext_lazy("Revoke"),
            _revoke,
            gettext_lazy("The key is revoked: it is refused within a second."),
            ReasonForm,
            shows=lambda key: key.revoked_at is None,
            warning=gettext_lazy(
                "Applications that use it are refused within a second, and their open streams are cut. It cannot be undone."
            ),
            is_danger=True,
            is_bulk=True,
        ),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """A holder's id finds the holder's keys, and a key's text what it shows of itself."""
        term = search_term.strip()
        holder = _as_id(term)
        if holder is not None:
            return queryset.filter(Q(person=holder) | Q(service_account=holder)), False
        return super().get_search_results(request, queryset, _public_part(term))

    @display(description=gettext_lazy("key"))
    def shown(self, key: ApiKey) -> Cell:
        return code(key)

    @display(description=gettext_lazy("holder"))
    def holder(self, key: ApiKey) -> Cell:
        return str(key.person or (key.service_account and key.service_account.name) or NOTHING)

    @display(description=gettext_lazy("state"), ordering="expires_at")
    def state(self, key: ApiKey) -> SafeString:
        if key.revoked_at is not None:
            return pill(_("revoked"), "bad")
        if key.expires_at <= utc_now():
            return pill(_("ended"))
        return pill(_("live"), "ok") if key.disabled_at is None else pill(_("disabled"), "warn")

    @display(description=gettext_lazy("ends"), ordering="expires_at")
    def ends(self, key: ApiKey) -> Cell:
        return moment(key.expires_at)

    @display(description=gettext_lazy("last used"), ordering="use__last_used_at")
    def used(self, key: ApiKey) -> Cell:
        return moment(key.use.last_used_at) if hasattr(key, "use") else NOTHING

    def facts(self, found: ApiKey) -> list[tuple[str, Cell]]:
        holder = found.person or found.service_account
        reader = User.objects.filter(pk__in=[found.created_by, found.revoked_by]).in_bulk()
        return [
            (_("Key"), code(found)),
            (_("Name"), found.name),
            (_("State"), self.state(found)),
            (_("Team"), link_to(found.team)),
            (_("Holder"), link_to(holder, self.holder(found))),
            (_("Purpose"), found.purpose),
            (_("Tags"), ", ".join(found.tags)),
            (_("Cost centre"), found.cost_centre),
            (_("Scopes"), ", ".join(found.scopes)),
            (
                _("Models"),
                _("A narrower list of its own") if found.is_narrowed else _("All that are granted"),
            ),
            *bounds_facts(found),
            (_("Calls a minute"), whole(found.requests_per_minute)),
            (_("Tokens a minute"), whole(found.tokens_per_minute)),
            (_("Issued"), moment(found.created_at)),
            (
                _("Issued by"),
                link_to(reader.get(found.created_by)) if found.created_by else NOTHING,
            ),
            (_("Ends"), moment(found.expires_at)),
            (_("Last used"), self.used(found)),
            (_("From"), found.use.last_peer if hasattr(found, "use") else NOTHING),
            *_rotation_facts(found),
            (_("Disabled as idle"), moment(found.disabled_at)),
            (_("Revoked"), moment(found.revoked_at)),
            (
                _("Revoked by"),
                link_to(reader.get(found.revoked_by)) if found.revoked_by else NOTHING,
            ),
            (_("Reason"), found.revoked_reason),
        ]


def _rotation_facts(found: ApiKey) -> list[tuple[str, Cell]]:
    if found.previous_ends_at is None:
        return []
    use = use_of_old_secret(found)
    return [
        (_("Rotated"), moment(found.rotated_at)),
        (_("Old secret ends"), moment(found.previous_ends_at)),
        (_("Calls with it"), str(use.calls if use else 0)),
        (_("Last call with it"), moment(use.last_used_at) if use else NOTHING),
        (_("From"), use.last_peer if use else NOTHING),
    ]


def _as_id(term: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(term)
    except ValueError:
        return None


def _public_part(term: str) -> str:
    """Of a whole key only what is public goes into a query: its secret would stand in the database's log."""
    parts = term.split("_")
    return parts[1] if len(parts) > 1 and parts[0] == "lk" else term
