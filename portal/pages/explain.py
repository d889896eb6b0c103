"""The page that says whether a call is let in, and why or why not."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.access import teams_of
from accounts.models import ApiKey, User
from accounts.roles import Right
from accounts.signed_in import person_of
from models_registry.access import models_seen_by
from portal.pages.explain_form import ExplainForm
from proxy.explain.answer import Checked, Explanation, Rule, State
from proxy.explain.explain import explain
from proxy.explain.situation import load_situation
from proxy.explain.titles import TITLES

_OF_KEY = {
    Rule.KEY_NOT_REVOKED,
    Rule.KEY_NOT_ENDED,
    Rule.KEY_ENABLED,
    Rule.KEY_KIND,
    Rule.MODEL_LISTED,
}
_OF_GRANT = {Rule.GRANT, Rule.GRANT_KIND}
_MARKS = {State.HELD: "ok", State.NOT_HELD: "bad", State.NOT_ASKED: ""}


@dataclass(frozen=True)
class Shown:
    """A rule as the page shows it. mark: a class of the timeline. is_first: it is what the call is refused by."""

    checked: Checked
    title: "str | Promise"
    mark: str
    is_first: bool


@require_safe
def explain_page(request: HttpRequest) -> HttpResponse:
    """Ask, and answer what was asked. What is not the person's to see is answered like what is not there."""
    person = person_of(request)
    form = ExplainForm(request.GET, person=person)
    page: dict[str, object] = {"form": form}
    if form.key is not None and form.is_valid():
        said = explain(load_situation(form.question(form.key), seen=models_seen_by(person)))
        page |= facts_of(said) | {"who": _who(form.key, person), "step": _step(said, form, person)}
    return render(request, "portal/explain.html", page)


def facts_of(said: Explanation) -> dict[str, object]:
    """What a page shows of an explanation."""
    first = said.first_failed
    rules = [Shown(one, TITLES[one.rule], _MARKS[one.state], one is first) for one in said.checked]
    return {"said": said, "rules": rules, "first": first}


def _who(key: ApiKey, person: User) -> str:
    if not key._state.adding:  # noqa: SLF001 - whether it exists.
        return _("The key %(name)s") % {"name": key.name}
    if key.service_account is not None:
        return _("The service account %(name)s") % {"name": key.service_account.name}
    return _("A new key of yours in %(team)s") % {"team": key.team.name}


def _step(said: Explanation, form: ExplainForm, person: User) -> tuple[str, str] | None:
    """The label and address of the next step, where this portal has a page for it."""
    first = said.first_failed
    if first is None or form.key is None:
        return None
    if first.rule in _OF_GRANT and said.model in form.model_names:
        may_ask = teams_of(person, right=Right.ASK_FOR_ACCESS).filter(pk=form.key.team_id).exists()
        return (_("Ask for access"), reverse("ask", args=[said.model])) if may_ask else None
    if first.rule is Rule.MODEL_SERVED:
        return _("Look at the models"), reverse("catalogue")
    if first.rule in _OF_KEY and teams_of(person, right=Right.ISSUE_OWN_KEYS).exists():
        return _("Issue a key"), reverse("key-new")
    if first.rule is Rule.LIMIT:
        return _("Look at the limits"), reverse("team-limits", args=[form.key.team.slug])
    return None
