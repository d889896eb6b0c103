"""Says of a token what it would get, for whoever manages a team's rules. The token is read and forgotten: never stored, never logged."""

import datetime
from dataclasses import dataclass

from accounts.models import Team, TrustRule
from accounts.workload.examine import Check, Outcome, examine, fault_of
from accounts.workload.tokens import Refused, check_audience, read_token

_WORDS = {
    Check.FORM: "It is a signed JWT.",
    Check.HEADER: "Its header asks for nothing that is not understood.",
    Check.KEY: "Its signature holds against a key of the issuer.",
    Check.RULE: "A rule takes it.",
    Check.HOLDER: "The rule's service account may call.",
}


@dataclass(frozen=True)
class RuleTold:
    """One of the team's rules that the subject meets. fault: why it does not take the token; "" where it could."""

    rule: TrustRule
    fault: str


@dataclass(frozen=True)
class Explanation:
    """What a token is worth. rule: the team's own that takes it; None where none does."""

    outcomes: list[Outcome]
    rule: TrustRule | None
    ends_at: datetime.datetime | None
    is_elsewhere: bool
    rules: list[RuleTold]


def explain_for(team: Team, text: str, *, now: datetime.datetime) -> Explanation:
    """Examine a token as a call would, and show of it what concerns the team.

    Of another team's rule it is told that one takes the token, as the answer to a call tells, and nothing else.
    """
    text = text.strip()
    found = examine(text, now=now)
    own = found.rule if found.rule is not None and found.rule.team_id == team.pk else None
    return Explanation(
        outcomes=[_told(outcome) for outcome in found.outcomes],
        rule=own,
        ends_at=None if own is None else found.ends_at,
        is_elsewhere=found.rule is not None and own is None,
        rules=[
            RuleTold(rule, _fault(rule, text, now=now))
            for rule in found.met
            if rule.team_id == team.pk
        ],
    )


def _told(outcome: Outcome) -> Outcome:
    if outcome.seen or not outcome.passed:
        return outcome
    return Outcome(outcome.check, outcome.passed, _WORDS.get(outcome.check, ""))


def _fault(rule: TrustRule, text: str, *, now: datetime.datetime) -> str:
    """The token's rules are met only once it has been read, and its audience found."""
    try:
        token = read_token(text)
        audiences = check_audience(token.claims, accepted=rule.issuer.audiences)
    except Refused as refused:
        return str(refused)
    return fault_of(rule, token.claims, audiences=audiences, now=now)
