"""The rows of the admin's lists. The theme works out every column's title and order anew for each row; here it is once."""

from typing import Any

from django import template
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.utils import display_for_field, display_for_value, lookup_field
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Field, Model
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from unfold.templatetags.unfold_list import result_headers
from unfold.widgets import CHECKBOX_CLASSES

register = template.Library()
CHECKBOX = "action_checkbox"


@register.inclusion_tag("admin/latchkey/rows.html", takes_context=True)
def admin_rows(context: template.Context, cl: ChangeList) -> dict[str, Any]:
    """The list's titles and rows: each cell bears its column's title, which narrow screens show beside it."""
    headers = list(result_headers(cl))
    titles = [str(capfirst(header["text"])) for header in headers]
    return {
        "cl": cl,
        "result_headers": headers,
        "num_sorted_fields": sum(bool(header.get("sorted")) for header in headers),
        "rows": [_row(cl, row, titles) for row in cl.result_list],
        "has_add_permission": cl.model_admin.has_add_permission(context["request"]),
    }


def _row(cl: ChangeList, row: Model, titles: list[str]) -> SafeString:
    """The row's cells. The first column leads to the row's page."""
    cells = []
    address = _address(cl, row)
    leads_on = True
    for name, title in zip(cl.list_display, titles, strict=True):
        if name == CHECKBOX:
            cells.append(_choice(row))
            continue
        value = _shown(cl, row, str(name))
        if leads_on:
            cell = '<th scope="row" data-label="{}"><a href="{}">{}</a></th>'
            cells.append(format_html(cell, title, address, value))
            leads_on = False
        else:
            cells.append(format_html('<td data-label="{}">{}</td>', title, value))
    return mark_safe("".join(cells))  # noqa: S308 - each cell is escaped where it is made.


def _choice(row: Model) -> SafeString:
    return format_html(
        '<td class="lk-choice" data-label="{}"><input type="checkbox" name="{}" value="{}" class="{} action-select"'
        ' aria-label="{}"></td>',
        _("Select record"),
        ACTION_CHECKBOX_NAME,
        row.pk,
        " ".join(CHECKBOX_CLASSES),
        _("Select %(record)s") % {"record": row},
    )


def _address(cl: ChangeList, row: Model) -> str:
    kept: dict[str, Any] = {"preserved_filters": cl.preserved_filters, "opts": cl.opts}
    return str(add_preserved_filters(kept, cl.url_for_result(row)))


def _shown(cl: ChangeList, row: Model, name: str) -> Any:
    """What stands in the cell, as Django's own list would show it."""
    empty = cl.model_admin.get_empty_value_display()
    try:
        field, attribute, value = lookup_field(name, row, cl.model_admin)
    except ObjectDoesNotExist:
        return empty
    if not isinstance(field, Field):
        return display_for_value(value, empty, boolean=getattr(attribute, "boolean", False))
    if field.remote_field is not None:
        related = getattr(row, field.name)
        return empty if related is None else related
    return display_for_field(value, field, empty)
