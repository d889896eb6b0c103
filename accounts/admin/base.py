"""The class of every part of the admin: lists to read, one page for each object, and named writes as its buttons.

Django's own forms for models are never served: nothing is written here but by an act, which calls a named write.
"""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin import ShowFacets, helpers
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin

from accounts.admin.acts import Act, ActForm
from accounts.admin.cells import Cell, Table, act_page, list_of, page_of
from accounts.admin.lists import BoundedChangeList, BoundedPaginator
from accounts.models import AuditEntry, Proposal, User
from accounts.roles import PortalRight, holds, is_administrator
from portal.lib.validation_text import validation_text

BULK_MAX = 50
# Nothing that is searched for is longer, and each word of a search is looked for in every row.
SEARCH_MAX = 200
WORDS_MAX = 8
_also: dict[type[Model], list[tuple[PortalRight, Callable[[Any], Table]]]] = {}
PROPOSED = gettext_lazy("It is proposed, and waits for a second person.")
METHODS = ("GET", "HEAD", "POST")


def show_also(model: type[Model], table: Callable[[Any], Table], *, to: PortalRight) -> None:
    """Show a table on the pages of another app's objects to whoever holds the right.

    An app above knows of those below, never the other way.
    """
    _also.setdefault(model, []).append((to, table))


class PortalAdmin(ModelAdmin):  # type: ignore[misc]
    """A table that is read here, and changed by its acts alone.

    acts: what can be done to one object.
    add_act: how one is made; None where none is made here.
    object_template: the page of one object.
    sees, right: what somebody has to hold to open the part, and to act in it; None leaves it to superusers.
    """

    acts: tuple[Act, ...] = ()
    add_act: Act | None = None
    sees: PortalRight | None = None
    right: PortalRight | None = None
    object_template = "admin/latchkey/object.html"
    act_template = "admin/latchkey/act.html"

    actions = None
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_filter_submit = True
    list_per_page = 50
    list_max_show_all = 0
    list_disable_select_all = True
    search_help_text: "str | Promise" = ""

    # --- What one object is shown as --------------------------------------------------------------------------------
    def facts(self, found: Any) -> list[tuple[str, Cell]]:
        """What is known of the object, as names and values."""
        raise NotImplementedError

    def tables(self, found: Any) -> list[Table]:
        """What belongs to the object."""
        return []

    def name_of(self, found: Any) -> str:
        return str(found)

    def trail_of(self, found: Any) -> str | None:
        """The id under which the audit trail speaks of the object; None where it never does."""
        return str(found.pk)

    # --- Who may do what --------------------------------------------------------------------------------------------
    def may_act(self, request: HttpRequest, act: Act) -> bool:
        return may_in_admin(request, act.right or self.right)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_in_admin(request, self.sees)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return may_in_admin(request, self.sees)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.add_act is not None and self.may_act(request, self.add_act)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        raise PermissionDenied

    # --- Pages ------------------------------------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_act"
        view = self.admin_site.admin_view(self.act_view)
        return [
            path("<path:object_id>/act/<slug:act_name>/", view, name=name),
            *super().get_urls(),
        ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[BoundedChangeList]:
        return BoundedChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """The rows in whose search_fields each of the words stands; only the first WORDS_MAX count."""
        if len(search_term) > SEARCH_MAX:
            return queryset.none(), False
        for word in search_term.split()[:WORDS_MAX]:
            asked = Q()
            for name in self.get_search_fields(request):
                asked |= self._holds(name, word)
            queryset = queryset.filter(asked)
        return queryset, False

    def _holds(self, name: str, word: str) -> Q:
        """The word stands in the field. What is related is looked through once by itself, not again for each row."""
        relation, _, field = name.partition("__")
        if not field:
            return Q(**{f"{name}__icontains": word})
        related = self.opts.get_field(relation)
        found = related.related_model._default_manager.filter(**{f"{field}__icontains": word})  # noqa: SLF001 - Django's own name for it.
        if related.one_to_many:
            return Q(pk__in=found.values(related.field.name))
        return Q(**{f"{relation}__in": found.values("pk")})

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {
            act.name: (_in_bulk(act), act.name, act.label)
            for act in self.acts
            if act.is_bulk and self.may_act(request, act)
        }

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The object's page. Nothing is sent to it: each act has an address of its own."""
        if request.method not in {"GET", "HEAD"}:
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        found = self.found(request, object_id)
        return TemplateResponse(request, self.object_template, self.object_context(request, found))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if self.add_act is None:
            raise Http404
        if not self.may_act(request, self.add_act):
            raise PermissionDenied
        return self._perform(request, self.add_act, None)

    def act_view(self, request: HttpRequest, object_id: str, act_name: str) -> HttpResponse:
        act = next((act for act in self.acts if act.name == act_name), None)
        found = self.found(request, object_id)
        if act is None:
            raise Http404
        if not self.may_act(request, act):
            raise PermissionDenied
        return self._perform(request, act, found)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        raise Http404

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """An object's history is its audit trail."""
        trail = self.trail_of(self.found(request, object_id))
        if trail is None:
            raise Http404
        return HttpResponseRedirect(list_of(AuditEntry, f"?q={trail}"))

    def found(self, request: HttpRequest, object_id: str) -> Any:
        """The object, for whoever may see it. Raises: Http404."""
        found = self.get_object(request, unquote(object_id))
        if found is None or not self.has_view_permission(request, found):
            raise Http404
        return found

    def object_context(self, request: HttpRequest, found: Any) -> dict[str, Any]:
        acts = [act for act in self.acts if act.is_listed and act.shows(found)]
        trail, is_audited = self.trail_of(found), may_in_admin(request, PortalRight.SEE_AUDIT)
        return {
            **self._page_context(request),
            "title": self.name_of(found),
            "found": found,
            "facts": self.facts(found),
            "tables": [*self.tables(found), *self._tables_of_others(request, found)],
            "trail": list_of(AuditEntry, f"?q={trail}") if is_audited and trail else "",
            "acts": [
                (act, act_page(found, act.name)) for act in acts if self.may_act(request, act)
            ],
        }

    def _tables_of_others(self, request: HttpRequest, found: Any) -> list[Table]:
        shown = _also.get(self.model, ())
        return [table(found) for right, table in shown if may_in_admin(request, right)]

    def act_context(
        self, request: HttpRequest, act: Act, form: ActForm, found: Any
    ) -> dict[str, Any]:
        return {
            **self._page_context(request),
            "title": act.label if found is None else f"{act.label}: {self.name_of(found)}",
            "act": act,
            "form": form,
            "found": found,
            "back": list_of(self.model) if found is None else page_of(found),
        }

    def _page_context(self, request: HttpRequest) -> dict[str, Any]:
        request.current_app = self.admin_site.name
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "has_view_permission": True,
            "model_admin": self,
        }

    def _perform(self, request: HttpRequest, act: Act, found: Any) -> HttpResponse:
        """Ask for the act's values, and do it once they are right."""
        if request.method not in METHODS:
            return HttpResponse(status=405, headers={"Allow": ", ".join(METHODS)})
        data = request.POST if request.method == "POST" else None
        form = act.form(data, subject=found, person=acting_person(request))
        if data is not None and form.is_valid():
            made, is_done = self._write(act, form, found)
            if is_done:
                is_proposed = isinstance(made, Proposal)
                shown = self._after_write(request, made)
                if shown is not None:
                    return shown
                messages.success(request, str(PROPOSED if is_proposed else act.done))
                return HttpResponseRedirect(self._after(made, found))
        context = self.act_context(request, act, form, found)
        return TemplateResponse(request, self.act_template, context)

    def _after_write(self, request: HttpRequest, made: Any) -> HttpResponse | None:
        """The page that shows what was made, where it is shown this once; None where the list or its own page does."""
        return None

    def _write(self, act: Act, form: ActForm, found: Any) -> tuple[Any, bool]:
        """Call the write. Returns what it made and whether it was done; what it refused stands in the form."""
        try:
            with transaction.atomic():
                return act.write(found, form.person, form.cleaned_data), True
        except ValidationError as error:
            form.add_write_errors(error)
        except PermissionDenied as error:
            form.add_error(None, str(error) or _("You may not do this."))
        return None, False

    def _after(self, made: Any, found: Any) -> str:
        if isinstance(made, self.model | Proposal):
            return page_of(made)
        if found is not None and self.model._default_manager.filter(pk=found.pk).exists():  # noqa: SLF001 - Django's own name for it.
            return page_of(found)
        return list_of(self.model)

    def bulk_view(
        self, request: HttpRequest, selected: QuerySet[Any], act: Act
    ) -> HttpResponse | None:
        """Ask for the values of an act that counts for several objects, then do it to each in a transaction of its own."""
        chosen = list(selected[: BULK_MAX + 1])
        if len(chosen) > BULK_MAX:
            messages.error(
                request,
                _("Choose at most %(most)s at once. Nothing was done.") % {"most": BULK_MAX},
            )
            return None
        is_confirmed = "confirmed" in request.POST
        form = act.form(request.POST if is_confirmed else None, person=acting_person(request))
        if is_confirmed and form.is_valid():
            self._each(request, act, form, chosen)
            return None
        context = self.act_context(request, act, form, None) | {
            "chosen": [(found, self.name_of(found)) for found in chosen],
            "checkbox_name": helpers.ACTION_CHECKBOX_NAME,
            "title": act.label,
        }
        return TemplateResponse(request, "admin/latchkey/bulk.html", context)

    def _each(self, request: HttpRequest, act: Act, form: ActForm, chosen: list[Any]) -> None:
        done = 0
        for found in chosen:
            try:
                with transaction.atomic():
                    act.write(found, form.person, form.cleaned_data)
            except ValidationError as error:
                messages.error(request, f"{self.name_of(found)}: {validation_text(error)}")
            except PermissionDenied as error:
                messages.error(
                    request, f"{self.name_of(found)}: {str(error) or _('You may not do this.')}"
                )
            else:
                done += 1
        if done:
            messages.success(
                request,
                _("%(done)s (%(count)s of %(all)s)")
                % {"done": act.done, "count": done, "all": len(chosen)},
            )


def may_in_admin(request: HttpRequest, right: PortalRight | None) -> bool:
    """Whether whoever asks holds the right, or is a superuser where none is named."""
    person = request.user
    if not isinstance(person, User):
        return False
    return is_administrator(person) if right is None else holds(person, right)


def acting_person(request: HttpRequest) -> User:
    """Who acts. Raises: PermissionDenied for nobody, who does not get here."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def _in_bulk(act: Act) -> Any:
    def run(
        model_admin: PortalAdmin, request: HttpRequest, selected: QuerySet[Any]
    ) -> HttpResponse | None:
        return model_admin.bulk_view(request, selected, act)

    return run
