"""The rules of the model: whether it is served, granted, and of the kind that is asked for."""

from collections.abc import Iterator

import msgspec
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from models_registry.models import AiModel, Grant, ModelStatus
from proxy.authorize import is_past_sunset
from proxy.explain.answer import Checked, Rule, State
from proxy.explain.of_caller import moment_text, state_of
from proxy.explain.situation import Situation
from proxy.principal import Principal
from proxy.route import Route


def rules_of_model(found: Situation) -> Iterator[Checked]:
    """Say what holds of the model and its grants. Of one that may not be told of, nothing but the words for none."""
    if found.model is None:
        yield Checked(
            Rule.MODEL_SERVED,
            State.NOT_HELD,
            _("There is no model of this name, or it has not been granted."),
            _("Look for the model in the catalogue and ask for access to it."),
        )
        return
    # What the grants alone say, whichever list the key has of its own.
    granted = msgspec.structs.replace(found.principal, only_models=None)
    yield _served(found.model, found)
    if found.is_of_a_key:
        yield _listed(found.model, found)
    yield _grant(found.model, found, granted)
    yield _kind(found.model, found)
    yield _kind_of_grant(found.model, found, granted)
    if found.is_of_a_key:
        yield _kind_of_key(found)
    if found.route is not None and found.route.networks:
        yield _address(found.route, found.asked.peer)


def _served(model: AiModel, found: Situation) -> Checked:
    held = found.route is not None and not is_past_sunset(found.route, found.now)
    words, remedy = _SERVED[ModelStatus(model.status)]
    text = str(words)
    if model.status == ModelStatus.DEPRECATED and model.sunset_at is not None:
        text = _("The model is deprecated; its last moment is %(at)s.")
    said = {"at": moment_text(model.sunset_at) if model.sunset_at else ""}
    is_offered = model.status in (ModelStatus.PUBLISHED, ModelStatus.DEPRECATED)
    if is_offered and found.route is None:
        text = _("No server serves the model at the moment.")
    return Checked(Rule.MODEL_SERVED, state_of(held=held), text % said, "" if held else str(remedy))


_ASK_FOR_ANOTHER = gettext_lazy(
    "Choose another model from the catalogue, or ask an administrator about it."
)
_SERVED = {
    ModelStatus.DRAFT: (
        gettext_lazy("The model is a draft."),
        gettext_lazy("A registry administrator has to publish it."),
    ),
    ModelStatus.PUBLISHED: (
        gettext_lazy("The model is published."),
        gettext_lazy("A registry administrator has to look at its deployments."),
    ),
    ModelStatus.DEPRECATED: (gettext_lazy("The model is deprecated."), _ASK_FOR_ANOTHER),
    ModelStatus.RETIRED: (gettext_lazy("The model is retired."), _ASK_FOR_ANOTHER),
}


def _listed(model: AiModel, found: Situation) -> Checked:
    only = found.principal.only_models
    if only is None:
        return Checked(
            Rule.MODEL_LISTED, State.HELD, _("The key may call every model that is granted.")
        )
    if model.pk in only:
        return Checked(Rule.MODEL_LISTED, State.HELD, _("The model stands on the key's own list."))
    return Checked(
        Rule.MODEL_LISTED,
        State.NOT_HELD,
        _("The key has a list of models of its own, on which this one does not stand."),
        _("Use another key, or have the model put on this key's list."),
    )


def _grant(model: AiModel, found: Situation, granted: Principal) -> Checked:
    held = bool(granted.may_call(model.pk, now=found.now))
    live = [one for one in found.grants if one.starts_at <= found.now < one.ends_at]
    said = _grant_words(live[0] if held and live else _nearest(found), found)
    remedy = _("Ask for access to the model.")
    return Checked(Rule.GRANT, state_of(held=held), said, "" if held else remedy)


def _nearest(found: Situation) -> Grant | None:
    """Of grants that do not stand at the moment, the one to speak of: the next to begin, or else the last to end."""
    coming = [one for one in found.grants if one.starts_at > found.now]
    ended = [one for one in found.grants if one.ends_at <= found.now]
    if coming:
        return min(coming, key=lambda one: one.starts_at)
    return ended[0] if ended else None


def _grant_words(grant: Grant | None, found: Situation) -> str:
    if grant is None:
        return _("The model has not been granted to the team %(team)s.") % {
            "team": found.asked.key.team.name
        }
    account = grant.service_account
    said = {
        "whom": found.asked.key.team.name if account is None else account.name,
        "from": moment_text(grant.starts_at),
        "until": moment_text(grant.ends_at),
    }
    if grant.starts_at > found.now:
        return _("The grant to %(whom)s begins on %(from)s.") % said
    if grant.ends_at <= found.now:
        return _("The grant to %(whom)s ended on %(until)s.") % said
    return _("The model is granted to %(whom)s until %(until)s.") % said


def _kind(model: AiModel, found: Situation) -> Checked:
    said = {"kind": model.kind, "asked": found.kind}
    if model.kind == found.kind:
        return Checked(Rule.MODEL_KIND, State.HELD, _("The model answers %(kind)s calls.") % said)
    return Checked(
        Rule.MODEL_KIND,
        State.NOT_HELD,
        _("The model answers %(kind)s calls, and no %(asked)s.") % said,
        _("Send the call to the path of the model's own kind."),
    )


def _kind_of_grant(model: AiModel, found: Situation, granted: Principal) -> Checked:
    said = {"kind": found.kind}
    if granted.grant_for(model.pk, found.kind, now=found.now) is not None:
        return Checked(Rule.GRANT_KIND, State.HELD, _("The grant allows %(kind)s calls.") % said)
    if not granted.may_call(model.pk, now=found.now):
        return Checked(
            Rule.GRANT_KIND,
            State.NOT_ASKED,
            _("No grant stands that could allow the kind of call."),
        )
    return Checked(
        Rule.GRANT_KIND,
        State.NOT_HELD,
        _("The grant does not allow %(kind)s calls.") % said,
        _("Ask for access to this kind of call."),
    )


def _kind_of_key(found: Situation) -> Checked:
    said = {"kind": found.kind}
    if found.kind in found.principal.scopes:
        return Checked(Rule.KEY_KIND, State.HELD, _("The key allows %(kind)s calls.") % said)
    return Checked(
        Rule.KEY_KIND,
        State.NOT_HELD,
        _("The key does not allow %(kind)s calls.") % said,
        _("Issue a key that allows this kind of call."),
    )


def _address(route: Route, peer: str | None) -> Checked:
    """The model's own list is its provider's, and not told to everyone who may call it."""
    if peer is None:
        return Checked(
            Rule.MODEL_ADDRESS,
            State.NOT_ASKED,
            _("The model may be called from some networks alone. Give an address to check it."),
        )
    if route.is_open_to(peer):
        return Checked(
            Rule.MODEL_ADDRESS,
            State.HELD,
            _("The model may be called from %(peer)s.") % {"peer": peer},
        )
    return Checked(
        Rule.MODEL_ADDRESS,
        State.NOT_HELD,
        _("The model may not be called from %(peer)s.") % {"peer": peer},
        _("Call from another network, or ask an administrator about the model's list."),
    )
