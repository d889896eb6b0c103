"""The forms of keys: what of the list is shown, a new key, and the end of one."""

import uuid
from typing import Any

from django import forms
from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.access import keys_of, teams_of
from accounts.models import ApiKey, ServiceAccount, User
from accounts.models.keys import Scope
from accounts.pages.bounds_fields import HOURS_FIELDS, HoursFields, NetworksField, hours_from
from accounts.roles import Right, portal_rights
from accounts.writes.reasons import REASON_MAX
from models_registry.access import grants_of, models_seen_by
from models_registry.pages.fields import ForWhomField, LastDayField, LimitField
from models_registry.writes.keys import DAYS_MAX, MODELS_MAX
from portal.lib.clock import utc_now
from portal.pages.key_states import KeyState, in_state

SHOWN_MAX = 200
SEARCH_MAX = 100
TAGS_MAX = 20
TAG_LENGTH_MAX = 60
_SCOPES = {
    Scope.CHAT: _("Chat: call chat models."),
    Scope.EMBEDDINGS: _("Embeddings: call embedding models."),
    Scope.MANAGE: _(
        "Manage: act in your name at the management API, within this team. For scripts of your own, "
        "never for an application."
    ),
    Scope.ADMINISTER: _(
        "Administer: act at the management API as the administrator that you are. Whoever holds such "
        "a key can do all that you can."
    ),
}


class KeyFilters(forms.Form):
    """What of the keys is shown. A filter that makes no sense says so and filters nothing."""

    q = forms.CharField(
        label=_("Search"),
        max_length=SEARCH_MAX,
        required=False,
        widget=forms.SearchInput(attrs={"placeholder": _("Name or public id")}),
    )
    team = forms.ChoiceField(label=_("Team"), required=False)
    state = forms.ChoiceField(
        label=_("State"), choices=[("", _("All")), *KeyState.choices], required=False
    )

    def __init__(self, *args: Any, person: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self.person = person
        teams = teams_of(person).values_list("slug", "name")[:SHOWN_MAX]
        self.fields["team"] = forms.ChoiceField(
            label=_("Team"), choices=[("", _("All")), *teams], required=False
        )

    def chosen(self) -> QuerySet[ApiKey]:
        """The keys that the person may see and asked for, newest first."""
        self.is_valid()
        keys, asked = keys_of(self.person).order_by("-id"), self.cleaned_data
        if asked.get("team"):
            keys = keys.filter(team__slug=asked["team"])
        if asked.get("state"):
            keys = keys.filter(in_state(KeyState(asked["state"]), now=utc_now()))
        if asked.get("q"):
            # Django escapes % and _ for LIKE.
            keys = keys.filter(Q(name__icontains=asked["q"]) | Q(public_id__icontains=asked["q"]))
        return keys


class KeyForm(HoursFields):
    """A new key. What it may not hold, the write refuses.

    form_id: names this copy of the form, so that sending it twice issues one key.
    has_holder: whether there is anybody whom the person may issue a key for.
    """

    form_id = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    name = forms.CharField(
        label=_("Name"),
        max_length=100,
        help_text=_("Where it is used, such as “invoices in production”."),
    )
    purpose = forms.CharField(
        label=_("Purpose"),
        max_length=500,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Written into each call's record."),
    )
    tags = forms.CharField(
        label=_("Tags"), max_length=500, required=False, help_text=_("Parted by commas.")
    )
    cost_centre = forms.CharField(
        label=_("Cost centre"),
        max_length=60,
        required=False,
        help_text=_("Empty: the team's."),
    )
    networks = NetworksField(
        help_text=_("One CIDR a line, from which the key may be used. Empty: from anywhere.")
    )

    def __init__(self, *args: Any, person: User, **options: Any) -> None:
        super().__init__(*args, **options)
        accounts = ServiceAccount.objects.filter(
            team__in=teams_of(person, right=Right.MANAGE_KEYS), disabled_at=None
        )
        holder = ForWhomField(
            label=_("Who holds it?"),
            help_text=_("You, or an application of a team whose keys you manage."),
            teams=teams_of(person, right=Right.ISSUE_OWN_KEYS)[:SHOWN_MAX],
            accounts=accounts.select_related("team").order_by("name")[:SHOWN_MAX],
            itself=gettext("Me, in %(team)s"),
        )
        self.fields["holder"] = holder
        self.has_holder = bool(holder.found)
        scopes = [scope for scope in Scope if scope != Scope.ADMINISTER or portal_rights(person)]
        self.fields["scopes"] = forms.MultipleChoiceField(
            label=_("What may it do?"),
            choices=[(scope.value, _SCOPES[scope]) for scope in scopes],
            initial=[Scope.CHAT.value, Scope.EMBEDDINGS.value],
            widget=forms.CheckboxSelectMultiple,
        )
        granted = models_seen_by(person).filter(pk__in=grants_of(person).values("model_id"))
        self.models = {model.name: model for model in granted[:SHOWN_MAX]}
        self.fields["models"] = forms.MultipleChoiceField(
            label=_("Only these models"),
            choices=[(name, name) for name in self.models],
            required=False,
            widget=forms.CheckboxSelectMultiple,
            help_text=_("None ticked: every model that is granted, also later."),
        )
        self.fields["expires_at"] = LastDayField(
            label=_("Until"),
            help_text=_("The last day, at most a year ahead."),
            days_max=DAYS_MAX - 1,
            days_ahead=90,
        )
        for name, label, most in (
            (
                "requests_per_minute",
                _("Calls a minute"),
                settings.LATCHKEY_DEFAULT_REQUESTS_PER_MINUTE,
            ),
            (
                "tokens_per_minute",
                _("Tokens a minute"),
                settings.LATCHKEY_DEFAULT_TOKENS_PER_MINUTE,
            ),
        ):
            self.fields[name] = LimitField(
                label=label,
                most=most,
                help_text=_("At most %(most)s, which is also what an empty field means.")
                % {"most": f"{most:,}"},
            )

    def clean_tags(self) -> list[str]:
        tags = [tag.strip() for tag in self.cleaned_data["tags"].split(",") if tag.strip()]
        if len(tags) > TAGS_MAX:
            raise forms.ValidationError(_("At most %(most)s tags.") % {"most": TAGS_MAX})
        if any(len(tag) > TAG_LENGTH_MAX for tag in tags):
            raise forms.ValidationError(
                _("Each tag has at most %(most)s characters.") % {"most": TAG_LENGTH_MAX}
            )
        return list(dict.fromkeys(tags))

    def clean_models(self) -> list[str]:
        names: list[str] = self.cleaned_data["models"]
        if len(names) > MODELS_MAX:
            raise forms.ValidationError(_("At most %(most)s models.") % {"most": MODELS_MAX})
        return names

    def facts(self, person: User) -> dict[str, Any]:
        """What `issue_key_as` takes, from a form that is valid."""
        asked = dict(self.cleaned_data)
        del asked["form_id"]
        team, account = asked.pop("holder")
        names = asked.pop("models")
        hours = hours_from(asked)
        asked = {name: value for name, value in asked.items() if name not in HOURS_FIELDS}
        return asked | {
            "team": team,
            "holder": account or person,
            "hours": hours,
            "scopes": [Scope(scope) for scope in asked["scopes"]],
            "models": [self.models[name] for name in names] if names else None,
        }


class RevokeForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=REASON_MAX,
        help_text=_("It stays on the key and in the audit trail. Name no person."),
    )
