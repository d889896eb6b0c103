"""What an explanation is: the verdict, in the gateway's own words, and every rule that was held against the call, in order."""

import datetime
from dataclasses import dataclass
from enum import StrEnum

from accounts.ways_in.standing import Stand
from proxy.errors import Code, Refusal


class Rule(StrEnum):
    """What a call is held against, in the order in which the gateway asks it."""

    KEY_NOT_REVOKED = Stand.NOT_REVOKED.value
    KEY_NOT_ENDED = Stand.NOT_ENDED.value
    KEY_ENABLED = Stand.KEY_ENABLED.value
    TEAM_ENABLED = Stand.TEAM_ENABLED.value
    ACCOUNT_ENABLED = Stand.ACCOUNT_ENABLED.value
    PERSON_ENABLED = Stand.PERSON_ENABLED.value
    PERSON_IN_TEAM = Stand.IN_TEAM.value
    ROLE_CALLS_MODELS = Stand.ROLE_CALLS.value
    ADDRESS = "address"
    HOURS = "hours"
    MODEL_SERVED = "model_served"
    MODEL_LISTED = "model_on_keys_list"
    GRANT = "grant"
    MODEL_KIND = "kind_of_model"
    GRANT_KIND = "kind_of_grant"
    KEY_KIND = "kind_of_key"
    MODEL_ADDRESS = "address_for_model"
    LIMIT = "limit"


REFUSED_WITH: dict[Rule, Code] = {
    **dict.fromkeys((Rule(one.value) for one in Stand), Code.INVALID_CREDENTIAL),
    Rule.ADDRESS: Code.ADDRESS_NOT_ALLOWED,
    Rule.HOURS: Code.OUTSIDE_HOURS,
    Rule.MODEL_SERVED: Code.MODEL_NOT_FOUND,
    Rule.MODEL_LISTED: Code.MODEL_NOT_FOUND,
    Rule.GRANT: Code.MODEL_NOT_FOUND,
    Rule.MODEL_KIND: Code.WRONG_MODEL_KIND,
    Rule.GRANT_KIND: Code.KIND_NOT_ALLOWED,
    Rule.KEY_KIND: Code.KIND_NOT_ALLOWED,
    Rule.MODEL_ADDRESS: Code.ADDRESS_NOT_ALLOWED,
    Rule.LIMIT: Code.LIMIT_REACHED,
}


class State(StrEnum):
    """Whether a rule holds. What was not asked takes nothing from the verdict: an address, say, that nobody named."""

    HELD = "held"
    NOT_HELD = "not_held"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True)
class Checked:
    """One rule. text: what was found. remedy: what to do where it does not hold."""

    rule: Rule
    state: State
    text: str
    remedy: str = ""

    @property
    def code(self) -> Code:
        """What the gateway refuses with where it does not hold."""
        return REFUSED_WITH[self.rule]


@dataclass(frozen=True)
class Explanation:
    """refusal: what the gateway answers; None where it lets the call in.

    at: the moment it is true for. is_now: the moment is this one, and limits were counted.
    kind: of call. model: "" where the credential alone was asked about.
    """

    refusal: Refusal | None
    checked: tuple[Checked, ...]
    at: datetime.datetime
    is_now: bool
    model: str
    kind: str

    @property
    def is_allowed(self) -> bool:
        return self.refusal is None

    @property
    def first_failed(self) -> Checked | None:
        """The rule that the call is refused by."""
        return next((one for one in self.checked if one.state is State.NOT_HELD), None)
