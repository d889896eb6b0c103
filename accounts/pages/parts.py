"""What the pages of lists share."""

from typing import TypeVar

from django import forms
from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme

PER_PAGE = 50
Row = TypeVar("Row", bound=Model)


def page_of(request: HttpRequest, rows: QuerySet[Row]) -> "Page[Row]":
    """Return the page of rows that the parameter `page` names, or the nearest there is."""
    return Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))


def show_refusal(form: forms.Form, error: ValidationError) -> None:
    """Put what a write refused at its field, or at the form's head where it has no such field."""
    if not hasattr(error, "error_dict"):
        form.add_error(None, error)
        return
    for name, errors in error.error_dict.items():
        field = name if name in form.fields and name != NON_FIELD_ERRORS else None
        form.add_error(field, errors)


def wanted_page(request: HttpRequest) -> str:
    """Where the person wanted to go, by the parameter `next`, if that is a page of ours; the home page otherwise."""
    wanted = request.POST.get("next", request.GET.get("next", ""))
    is_ours = url_has_allowed_host_and_scheme(
        wanted, {request.get_host()}, require_https=request.is_secure()
    )
    return wanted if is_ours else resolve_url(settings.LOGIN_REDIRECT_URL)
