from django.contrib import admin
from django.contrib.admin import display
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.base import PortalAdmin, show_also
from accounts.admin.cells import NOTHING, Cell, Table, link_to, list_of, moment, pill
from accounts.admin.lists import ChoicesFilter
from accounts.models import ApiKey, Leak, User
from accounts.models.leaks import LeakOutcome
from accounts.roles import PortalRight

SHOWN_MAX = 50
# A list has room for the beginning of a place; all of it stands on the page.
SHORT = 60
_TONES = {
    LeakOutcome.REVOKED: "ok",
    LeakOutcome.OLD_SECRET_ENDED: "ok",
    LeakOutcome.FLAGGED: "bad",
    LeakOutcome.WAS_OVER: "quiet",
}
_WORDS = {
    LeakOutcome.REVOKED: gettext_lazy("revoked"),
    LeakOutcome.OLD_SECRET_ENDED: gettext_lazy("old secret ended"),
    LeakOutcome.FLAGGED: gettext_lazy("flagged"),
    LeakOutcome.WAS_OVER: gettext_lazy("was over"),
}


@admin.register(Leak)
class LeakAdmin(PortalAdmin):
    """Keys that were found where they should not be. What to do with one is done on the key's own page."""

    sees = PortalRight.REVOKE_KEYS
    right = PortalRight.REVOKE_KEYS
    list_display = ("shown", "team", "result", "since", "where")
    list_filter = (("outcome", ChoicesFilter), ("reporter", ChoicesFilter))
    list_select_related = ("key__team",)
    search_fields = ("place",)
    search_help_text = gettext_lazy("Where it was found")
    ordering = ("-id",)

    @display(description=gettext_lazy("key"))
    def shown(self, leak: Leak) -> Cell:
        return str(leak.key)

    @display(description=gettext_lazy("team"))
    def team(self, leak: Leak) -> Cell:
        return str(leak.key.team)

    @display(description=gettext_lazy("place"), ordering="place")
    def where(self, leak: Leak) -> Cell:
        is_long = len(leak.place) > SHORT
        return f"{leak.place[:SHORT]}…" if is_long else leak.place or NOTHING

    @display(description=gettext_lazy("what became of it"), ordering="outcome")
    def result(self, leak: Leak) -> SafeString:
        return _result(leak)

    @display(description=gettext_lazy("reported"), ordering="reported_at")
    def since(self, leak: Leak) -> Cell:
        return moment(leak.reported_at)

    def name_of(self, found: Leak) -> str:
        return str(found.key)

    def trail_of(self, found: Leak) -> str:
        return str(found.key_id)

    def facts(self, found: Leak) -> list[tuple[str, Cell]]:
        reporter = User.objects.filter(pk=found.reported_by).first() if found.reported_by else None
        return [
            (_("Key"), link_to(found.key)),
            (_("Team"), link_to(found.key.team)),
            (_("Reported by"), link_to(reporter) if reporter else found.get_reporter_display()),
            (_("Found in"), found.found_in or NOTHING),
            (_("Place"), found.place or NOTHING),
            (_("What became of it"), _result(found)),
            (_("Reported"), moment(found.reported_at)),
            (_("Last reported"), moment(found.last_reported_at)),
            (_("Times"), found.times),
        ]


def leaks_of(key: ApiKey) -> Table:
    """Where the key was found, for its own page."""
    leaks = key.leaks.order_by("-id")[:SHOWN_MAX]
    return Table(
        _("Found where it should not be"),
        [_("Found in"), _("Place"), _("What became of it"), _("Reported")],
        [
            [
                leak.found_in or leak.get_reporter_display(),
                leak.place,
                _result(leak),
                moment(leak.reported_at),
            ]
            for leak in leaks
        ],
        empty=_("Nobody has reported it."),
        more=list_of(Leak),
    )


def _result(leak: Leak) -> SafeString:
    outcome = LeakOutcome(leak.outcome)
    return pill(str(_WORDS[outcome]), _TONES[outcome])


show_also(ApiKey, leaks_of, to=PortalRight.REVOKE_KEYS)
