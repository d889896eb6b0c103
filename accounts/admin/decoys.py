from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.cache import add_never_cache_headers
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ActForm
from accounts.admin.base import PortalAdmin
from accounts.admin.cells import Cell, Table, code, link_to, moment, page_of, pill
from accounts.audit import acting
from accounts.models import DecoyKey, DecoyUse, User
from accounts.roles import PortalRight
from accounts.writes.decoys import IssuedDecoy, end_decoy, issue_decoy


class DecoyForm(ActForm):
    name = forms.CharField(
        max_length=200,
        label=gettext_lazy("Where it is put"),
        help_text=gettext_lazy("Whoever is told of its use reads this. Name no secret."),
    )


def _issue(nothing: None, actor: User, values: dict[str, Any]) -> IssuedDecoy:
    return issue_decoy(name=values["name"], actor=acting(actor))


def _end(decoy: DecoyKey, actor: User, values: dict[str, Any]) -> None:
    end_decoy(decoy, actor=acting(actor))


@admin.register(DecoyKey)
class DecoyAdmin(PortalAdmin):
    """Keys that grant nothing. The text of one stands in the answer to the form alone."""

    sees = PortalRight.REVOKE_KEYS
    right = PortalRight.REVOKE_KEYS
    list_display = ("shown", "name", "state", "used", "since")
    search_fields = ("public_id", "name")
    search_help_text = gettext_lazy("Key, or where it was put")
    ordering = ("-id",)
    add_act = Act(
        "add",
        gettext_lazy("Issue decoy"),
        _issue,
        gettext_lazy("The decoy is issued."),
        DecoyForm,
        warning=gettext_lazy(
            "It looks like any key and grants nothing. Its first use from each address is told to whoever may revoke keys."
        ),
    )
    acts = (
        Act(
            "end",
            gettext_lazy("End"),
            _end,
            gettext_lazy("Its use is told of no longer."),
            shows=lambda decoy: decoy.ended_at is None,
            warning=gettext_lazy("It goes on being refused, like any unknown key."),
            is_danger=True,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        counted: QuerySet[Any] = rows.annotate(addresses=Count("uses"))
        return counted

    def _after_write(self, request: HttpRequest, made: Any) -> HttpResponse | None:
        """Show the text of a new decoy, once."""
        if not isinstance(made, IssuedDecoy):
            return None
        reply = TemplateResponse(
            request,
            "admin/latchkey/decoy.html",
            {
                **self._page_context(request),
                "title": _("A new decoy"),
                "text": made.text,
                "found": made.decoy,
                "page": page_of(made.decoy),
            },
        )
        add_never_cache_headers(reply)
        return reply

    @display(description=gettext_lazy("key"))
    def shown(self, decoy: DecoyKey) -> Cell:
        return code(decoy)

    @display(description=gettext_lazy("state"), ordering="ended_at")
    def state(self, decoy: DecoyKey) -> SafeString:
        return pill(_("watched"), "ok") if decoy.ended_at is None else pill(_("ended"))

    @display(description=gettext_lazy("addresses"))
    def used(self, decoy: Any) -> Cell:
        return pill(str(decoy.addresses), "bad") if decoy.addresses else "0"

    @display(description=gettext_lazy("since"), ordering="created_at")
    def since(self, decoy: DecoyKey) -> Cell:
        return moment(decoy.created_at)

    def name_of(self, found: DecoyKey) -> str:
        return found.name

    def facts(self, found: Any) -> list[tuple[str, Cell]]:
        maker = User.objects.filter(pk=found.created_by).first() if found.created_by else None
        return [
            (_("Key"), code(found)),
            (_("Where it was put"), found.name),
            (_("State"), self.state(found)),
            (_("Issued"), moment(found.created_at)),
            (_("Issued by"), link_to(maker)),
            (_("Ended"), moment(found.ended_at)),
        ]

    def tables(self, found: DecoyKey) -> list[Table]:
        return [
            Table(
                _("Used from"),
                [_("Address"), _("Called itself"), _("First"), _("Last"), _("Times")],
                [_use_row(use) for use in found.newest_uses],
                empty=_("Nobody has used it."),
            )
        ]


def _use_row(use: DecoyUse) -> list[Cell]:
    return [use.peer, use.user_agent, moment(use.first_at), moment(use.last_at), use.times]
