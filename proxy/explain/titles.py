"""What the rules are called on pages."""

from django.utils.translation import gettext_lazy as _

from proxy.explain.answer import Rule

TITLES = {
    Rule.KEY_NOT_REVOKED: _("The key is not revoked"),
    Rule.KEY_NOT_ENDED: _("The key has not ended"),
    Rule.KEY_ENABLED: _("The key is enabled"),
    Rule.TEAM_ENABLED: _("The team is enabled"),
    Rule.ACCOUNT_ENABLED: _("The service account is enabled"),
    Rule.PERSON_ENABLED: _("The person is enabled"),
    Rule.PERSON_IN_TEAM: _("The person belongs to the team"),
    Rule.ROLE_CALLS_MODELS: _("Their role calls models"),
    Rule.ADDRESS: _("It comes from an allowed address"),
    Rule.HOURS: _("It comes in allowed hours"),
    Rule.MODEL_SERVED: _("The model is served"),
    Rule.MODEL_LISTED: _("The key's list lets the model through"),
    Rule.GRANT: _("The model is granted"),
    Rule.MODEL_KIND: _("The model answers this kind of call"),
    Rule.GRANT_KIND: _("The grant allows this kind of call"),
    Rule.KEY_KIND: _("The key allows this kind of call"),
    Rule.MODEL_ADDRESS: _("The model is open to the address"),
    Rule.LIMIT: _("A limit has room"),
}
