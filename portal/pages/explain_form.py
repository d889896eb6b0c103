"""The form of explanations: who calls, which model, from where, and when."""

import datetime
import uuid
from collections.abc import Mapping
from typing import Any, cast

from django import forms
from django.http import Http404
from django.utils.translation import gettext_lazy as _

from accounts.access import access_key, access_service_account, access_team, keys_of, teams_of
from accounts.models import ApiKey, ServiceAccount, User
from models_registry.access import models_seen_by
from portal.lib.client_address import parse_address
from proxy.call import POSTED, CallKind
from proxy.explain.situation import Question, key_as_new

SHOWN_MAX = 100
MODELS_SHOWN = 500
_KEY, _OWN, _ACCOUNT = "key", "new", "account"


class PointForm(forms.Form):
    """What else decides, whoever calls: the model, the kind of call, the address and the moment."""

    model = forms.CharField(
        label=_("Model"),
        max_length=120,
        required=False,
        widget=forms.TextInput(attrs={"list": "models", "autocomplete": "off"}),
    )
    kind = forms.ChoiceField(
        label=_("Kind of call"),
        required=False,
        choices=[
            ("", _("The model's own")),
            *((kind.value, kind.value) for kind in POSTED.values()),
        ],
    )
    address = forms.CharField(
        label=_("From address"),
        max_length=64,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": _("any")}),
    )
    at = forms.DateTimeField(
        label=_("At (UTC)"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def clean_address(self) -> str | None:
        text = self.cleaned_data["address"].strip()
        address = parse_address(text) if text else None
        if text and address is None:
            raise forms.ValidationError(_("Give an IP address, such as 192.0.2.1."))
        return None if address is None else str(address)

    def clean_at(self) -> datetime.datetime | None:
        at = cast("datetime.datetime | None", self.cleaned_data["at"])
        # Every time zone's day has to be one that a calendar shows.
        if at is not None and not 2000 <= at.year <= 9000:
            raise forms.ValidationError(_("Give a moment between the years 2000 and 9000."))
        return at

    def question(self, key: ApiKey) -> Question:
        """The question about this key, from a form that is valid."""
        asked = self.cleaned_data
        return Question(
            key=key,
            model=asked["model"].strip(),
            kind=CallKind(asked["kind"]) if asked["kind"] else None,
            peer=asked["address"],
            at=asked["at"],
        )


class ExplainForm(PointForm):
    """What a person asks: about a key, a new key of their own, or a service account of their teams."""

    who = forms.CharField(label=_("Who calls"), max_length=60, required=False, widget=forms.Select)
    field_order = ("who", "model", "kind", "address", "at")

    def __init__(self, asked: Mapping[str, Any], *, person: User) -> None:
        asked = dict(asked.items())
        if asked.get("model") and not asked.get("who"):
            # As a link from a model's page leads here: a key of one's own is the nearest answer.
            team = teams_of(person).first()
            asked |= {"who": f"{_OWN}:{team.pk}"} if team else {}
        super().__init__(asked, auto_id="ask_%s")
        self.person = person
        self.key = self._key(str(asked.get("who", "")))
        self.model_names = list(
            models_seen_by(person).values_list("name", flat=True)[:MODELS_SHOWN]
        )
        cast("forms.Select", self.fields["who"].widget).choices = self._choices()

    def _key(self, who: str) -> ApiKey | None:
        """The key asked about, or one as it would be issued. Raises: Http404 for what is not theirs to see, or nothing."""
        if not who:
            return None
        kind, _colon, name = who.partition(":")
        try:
            named = uuid.UUID(name)
        except ValueError:
            raise Http404 from None
        if kind == _KEY:
            return access_key(self.person, named)
        if kind == _OWN:
            return key_as_new(access_team(self.person, named), self.person)
        if kind == _ACCOUNT:
            account = access_service_account(self.person, named)
            return key_as_new(account.team, account)
        raise Http404

    def _choices(self) -> list[tuple[Any, Any]]:
        teams = list(teams_of(self.person)[:SHOWN_MAX])
        keys = list(keys_of(self.person).filter(revoked_at=None).order_by("-id")[:SHOWN_MAX])
        if self.key is not None and not self.key._state.adding and self.key not in keys:  # noqa: SLF001
            keys.insert(0, self.key)
        accounts = ServiceAccount.objects.filter(team__in=[team.pk for team in teams])
        accounts = accounts.select_related("team").order_by("team__name", "name")
        groups = [
            (_("Keys"), [(f"{_KEY}:{key.pk}", f"{key.name} · {key.team.name}") for key in keys]),
            (
                _("A new key of your own"),
                [(f"{_OWN}:{team.pk}", _in_team(team.name)) for team in teams],
            ),
            (
                _("A service account"),
                [
                    (f"{_ACCOUNT}:{one.pk}", f"{one.name} · {one.team.name}")
                    for one in accounts[:SHOWN_MAX]
                ],
            ),
        ]
        return [("", _("Choose")), *(group for group in groups if group[1])]


def _in_team(name: str) -> str:
    return str(_("In the team %(name)s")) % {"name": name}
