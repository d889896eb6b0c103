"""What a foreign token is worth here, check by check: the one path for calls, for exchange and for the page that explains.

form → issuer → header → algorithm → key → times → audience → subject → rule → holder

A rule made later never takes a token from one made earlier, so no team can draw another's workload to itself.
"""

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from django.db.models import QuerySet

from accounts.models import TrustedIssuer, TrustRule
from accounts.models.workload import URL_MAX
from accounts.workload import tokens
from accounts.workload.subjects import fits_claim, patterns_of
from accounts.workload.tokens import Refused, Times, Token

T = TypeVar("T")
# Of the rules that a subject meets by index; far more than any subject has.
RULES_MAX = 500


class Check(StrEnum):
    """What is asked of a token, in this order; the first that fails ends it."""

    FORM = "form"
    ISSUER = "issuer"
    HEADER = "header"
    ALGORITHM = "algorithm"
    KEY = "key"
    TIMES = "times"
    AUDIENCE = "audience"
    SUBJECT = "subject"
    RULE = "rule"
    HOLDER = "holder"


@dataclass(frozen=True)
class Outcome:
    """One check: whether it passed, and in words what was seen."""

    check: Check
    passed: bool
    seen: str = ""


@dataclass
class Examination:
    """What was found. Where `rule` is None the token is worth nothing.

    issuer, subject, times: known as far as the checks got. wants_keys: it names a key that is not known here.
    met: the rules whose subject the token's meets, the earliest first; a change of any of them may change what it gives.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    issuer: TrustedIssuer | None = None
    subject: str = ""
    times: Times | None = None
    rule: TrustRule | None = None
    met: list[TrustRule] = field(default_factory=list)
    wants_keys: bool = False

    @property
    def ends_at(self) -> datetime.datetime:
        """When what the token gives is over. Raises: ValueError where it gives nothing."""
        if self.times is None or self.rule is None:
            raise ValueError("the token gives nothing")
        ends = [self.times.ends_at, self.rule.expires_at]
        return min(one for one in ends if one is not None)

    def step(self, check: Check, ask: Callable[[], T], seen: Callable[[T], str] = str) -> T:
        """Ask one thing and note the answer. Raises: Refused."""
        try:
            found = ask()
        except Refused as refused:
            self.outcomes.append(Outcome(check, passed=False, seen=str(refused)))
            raise
        self.outcomes.append(Outcome(check, passed=True, seen=seen(found)))
        return found


def examine(text: str, *, now: datetime.datetime) -> Examination:
    """Say what a token is worth now. Nothing of the token is kept, and no exception escapes for whatever it holds."""
    found = Examination()
    try:
        _examine(found, text, now=now)
    except tokens.KeyUnknown:
        found.wants_keys = True
    except Refused:
        found.rule = None
    return found


def fault_of(rule: TrustRule, claims: Any, *, audiences: list[str], now: datetime.datetime) -> str:
    """Say in words why a rule whose subject fits does not take the token; "" where it does."""
    if rule.disabled_at is not None:
        return "The rule is disabled."
    if rule.expires_at is not None and rule.expires_at <= now:
        return "The rule has ended."
    if rule.audience and rule.audience not in audiences:
        return "It asks for another audience."
    unmet = [one["claim"] for one in rule.claims if not fits_claim(claims, one)]
    return f"The claim {unmet[0]} has none of its values." if unmet else ""


def _examine(found: Examination, text: str, *, now: datetime.datetime) -> None:
    token = found.step(Check.FORM, lambda: tokens.read_token(text), lambda _: "")
    issuer = found.issuer = found.step(Check.ISSUER, lambda: _issuer_of(token))
    found.step(Check.HEADER, lambda: tokens.check_header(token.header), lambda _: "")
    algorithm = found.step(
        Check.ALGORITHM,
        lambda: tokens.check_algorithm(token.header, allowed=issuer.algorithms),
    )
    found.step(
        Check.KEY,
        lambda: tokens.check_signature(token, keys=issuer.keys, algorithm=algorithm),
        lambda _: "",
    )
    found.times = found.step(
        Check.TIMES,
        lambda: tokens.check_times(
            token.claims,
            max_age_s=issuer.max_token_age_s,
            now=now,
            needs_iat=not issuer.trust_domain,
        ),
        lambda times: f"{times.ends_at:%Y-%m-%d %H:%M:%S} UTC",
    )
    audiences = found.step(
        Check.AUDIENCE,
        lambda: tokens.check_audience(token.claims, accepted=issuer.audiences),
        ", ".join,
    )
    subject = found.subject = found.step(
        Check.SUBJECT,
        lambda: tokens.check_subject(token.claims, trust_domain=issuer.trust_domain),
    )
    found.met = list(_rules_met_by(issuer, subject)[:RULES_MAX])
    rule = found.step(
        Check.RULE, lambda: _first_of(found.met, token, audiences, now=now), lambda _: ""
    )
    found.step(Check.HOLDER, lambda: _check_holder(rule), lambda _: "")
    found.rule = rule


def _issuer_of(token: Token) -> TrustedIssuer:
    """The issuer under exactly this name. Raises: Refused, alike for one that is unknown and one that is disabled."""
    name = token.issuer
    if 0 < len(name) <= URL_MAX and name.isascii() and name.isprintable():
        found = TrustedIssuer.objects.filter(issuer=name, disabled_at=None).first()
        if found is not None:
            return found
    raise Refused("Its issuer (`iss`) is none that is trusted here.")


def _rules_met_by(issuer: TrustedIssuer, subject: str) -> QuerySet[TrustRule]:
    return (
        TrustRule.objects.filter(issuer=issuer, subject__in=patterns_of(subject))
        .select_related("team", "service_account", "issuer")
        .order_by("id")
    )


def _first_of(
    rules: list[TrustRule], token: Token, audiences: list[str], *, now: datetime.datetime
) -> TrustRule:
    for rule in rules:
        if not fault_of(rule, token.claims, audiences=audiences, now=now):
            return rule
    raise Refused("No rule trusts this subject with these claims.")


def _check_holder(rule: TrustRule) -> None:
    if rule.team.disabled_at is not None or rule.service_account.disabled_at is not None:
        raise Refused("The rule's service account or its team is disabled.")
