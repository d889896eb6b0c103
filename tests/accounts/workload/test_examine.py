"""JWT attacks: each is refused at the check it is meant for, beside a token that is accepted, and no exception escapes."""

import datetime
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.audit import COMMAND
from accounts.models.keys import Scope
from accounts.ways_in.presented import TOKEN_MAX
from accounts.workload.examine import Check, Examination, examine
from accounts.workload.jwks import read_jwks
from accounts.workload.tokens import SKEW_S, Refused, read_token
from accounts.writes.issuers import change_issuer, disable_issuer, replace_keys
from accounts.writes.teams import disable_service_account, disable_team
from accounts.writes.trust_rules import change_trust_rule, disable_trust_rule, enable_trust_rule
from portal.lib.clock import utc_now
from tests.accounts.rows import REASON, new_account
from tests.accounts.workload.issuing import (
    AUDIENCE,
    ED_KEY,
    KIDS,
    OTHER_RSA_KEY,
    RSA_KEY,
    Issuing,
    jwk_of,
    new_issuing,
    new_rule,
    part,
    signed,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def issuing() -> Issuing:
    return new_issuing()


def examined(text: str, *, now: datetime.datetime | None = None) -> Examination:
    return examine(text, now=now or utc_now())


def refused_at(text: str) -> Check:
    found = examined(text)
    assert found.rule is None
    assert not found.outcomes[-1].passed
    assert all(outcome.passed for outcome in found.outcomes[:-1])
    return found.outcomes[-1].check


@pytest.mark.parametrize("algorithm", KIDS)
def test_token_of_each_kind_of_key_stands_for_the_rules_account(
    issuing: Issuing, algorithm: str
) -> None:
    found = examined(issuing.token(algorithm=algorithm))
    assert found.rule == issuing.rule
    assert [outcome.check for outcome in found.outcomes] == list(Check)
    assert found.ends_at <= utc_now() + datetime.timedelta(seconds=600)


def _public_pem() -> bytes:
    return RSA_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _hmac_with_public_key(issuing: Issuing) -> str:
    """RS/HS confusion, made by hand: PyJWT itself would not sign with a public key."""
    head = part({"alg": "HS256", "typ": "JWT", "kid": "rsa"})
    body = f"{head}.{part(issuing.payload())}"
    digest = hmac.digest(_public_pem(), body.encode(), "sha256")
    return f"{body}.{part(digest.decode('latin-1'))}"


def _brings(member: str, value: Any) -> Callable[[Issuing], str]:
    def made(issuing: Issuing) -> str:
        return jwt.encode(
            issuing.payload(),
            OTHER_RSA_KEY,
            algorithm="RS256",
            headers={"kid": "rsa", member: value},
        )

    return made


def _claims(**changes: Any) -> Callable[[Issuing], str]:
    return lambda issuing: issuing.token(**changes)


def times_at(offsets: dict[str, int]) -> dict[str, Any]:
    return {name: int(time.time()) + offset for name, offset in offsets.items()}


def _at(**offsets: int) -> Callable[[Issuing], str]:
    """Times as seconds from now."""
    return lambda issuing: issuing.token(**times_at(offsets))


def _header(**members: Any) -> Callable[[Issuing], str]:
    return lambda issuing: issuing.token(header=members)


def _raw_header(header: str) -> Callable[[Issuing], str]:
    return lambda issuing: signed(header, issuing.payload())


def _raw_claims(change: Callable[[str], str]) -> Callable[[Issuing], str]:
    return lambda issuing: signed(
        {"alg": "RS256", "kid": "rsa"}, change(json.dumps(issuing.payload()))
    )


HEAD = '{"alg":"RS256","kid":"rsa"'
ATTACKS: dict[str, tuple[Callable[[Issuing], str], Check]] = {
    "alg none": (
        lambda one: f"{part({'alg': 'none', 'kid': 'rsa'})}.{part(one.payload())}.",
        Check.FORM,
    ),
    "alg none with a signature": (
        lambda one: f"{part({'alg': 'none', 'kid': 'rsa'})}.{part(one.payload())}.AAAA",
        Check.ALGORITHM,
    ),
    "alg None in other case": (_raw_header('{"alg":"nOnE","kid":"rsa"}'), Check.ALGORITHM),
    "alg a list": (_raw_header('{"alg":["RS256"],"kid":"rsa"}'), Check.ALGORITHM),
    "alg missing": (_raw_header('{"kid":"rsa"}'), Check.ALGORITHM),
    "alg of another kind of key": (_raw_header('{"alg":"ES256","kid":"rsa"}'), Check.KEY),
    "alg that the issuer may not use": (
        _raw_header('{"alg":"RS512","kid":"rsa"}'),
        Check.ALGORITHM,
    ),
    "HS256 with the public key": (_hmac_with_public_key, Check.ALGORITHM),
    "embedded jwk": (_brings("jwk", jwk_of(OTHER_RSA_KEY, "rsa")), Check.HEADER),
    "jku": (_brings("jku", "https://evil.test/jwks"), Check.HEADER),
    "x5u": (_brings("x5u", "https://evil.test/chain"), Check.HEADER),
    "x5c": (_brings("x5c", ["MIIB"]), Check.HEADER),
    "another key under the same name": (_brings("cty", "x"), Check.KEY),
    "kid with a path": (_header(kid="../../dev/null"), Check.KEY),
    "kid with SQL": (_header(kid="rsa' OR '1'='1"), Check.KEY),
    "kid missing among several": (_raw_header('{"alg":"RS256","typ":"JWT"}'), Check.KEY),
    "kid a number": (_raw_header('{"alg":"RS256","kid":1}'), Check.KEY),
    "kid too long": (_header(kid="k" * 300), Check.KEY),
    "kid twice": (_raw_header(HEAD + ',"kid":"rsa"}'), Check.FORM),
    "typ of another token": (_header(typ="logout+jwt"), Check.HEADER),
    "typ of a proof": (_header(typ="dpop+jwt"), Check.HEADER),
    "typ a list": (_raw_header(HEAD + ',"typ":["JWT"]}'), Check.HEADER),
    "crit": (_raw_header(HEAD + ',"crit":["exp"]}'), Check.HEADER),
    "b64 false": (_raw_header(HEAD + ',"b64":false}'), Check.HEADER),
    "compressed": (_raw_header(HEAD + ',"zip":"DEF"}'), Check.HEADER),
    "header too long": (_header(pad="x" * 4000), Check.FORM),
    "header no object": (_raw_header('["RS256"]'), Check.FORM),
    "signature of other claims": (
        lambda one: one.token().rpartition(".")[0] + "." + one.token(sub="x").rpartition(".")[2],
        Check.KEY,
    ),
    "signature cut short": (lambda one: one.token()[:-20], Check.KEY),
    "four parts": (lambda one: one.token() + ".AAAA", Check.FORM),
    "padded parts": (lambda one: one.token() + "==", Check.FORM),
    "spaces inside": (lambda one: one.token().replace(".", ". ", 1), Check.FORM),
    "too long": (lambda one: one.token(pad="x" * TOKEN_MAX), Check.FORM),
    "issuer unknown": (_claims(iss="https://evil.test"), Check.ISSUER),
    "issuer with a slash": (lambda one: one.token(iss=one.issuer.issuer + "/"), Check.ISSUER),
    "issuer in other case": (lambda one: one.token(iss=one.issuer.issuer.upper()), Check.ISSUER),
    "issuer with a NUL": (lambda one: one.token(iss=one.issuer.issuer + "\0"), Check.ISSUER),
    "issuer with half a character": (
        _raw_claims(lambda text: text.replace("https://", "https://\\ud800", 1)),
        Check.ISSUER,
    ),
    "issuer a list": (
        lambda one: signed(json.loads(HEAD + "}"), one.payload(iss=["x"])),
        Check.ISSUER,
    ),
    "issuer missing": (_claims(iss=...), Check.ISSUER),
    "issuer twice": (
        _raw_claims(lambda text: text[:-1] + ', "iss": "https://evil.test"}'),
        Check.FORM,
    ),
    "subject twice": (_raw_claims(lambda text: '{"sub": "x", ' + text[1:]), Check.FORM),
    "claims no object": (_raw_claims(lambda _: '"text"'), Check.FORM),
    "claims nested deep": (_raw_claims(lambda _: "[" * 3000), Check.FORM),
    "claims not UTF-8": (
        lambda _: f"{part(json.loads(HEAD + '}'))}.__79.AAAA",
        Check.FORM,
    ),
    "ended": (_at(exp=-1), Check.TIMES),
    "ends now": (_at(exp=0), Check.TIMES),
    "without an end": (_claims(exp=...), Check.TIMES),
    "end as a text": (
        _raw_claims(lambda text: text.replace('"exp": ', '"exp": "9" , "e": ')),
        Check.TIMES,
    ),
    "end true": (_claims(exp=True), Check.TIMES),
    "end without bounds": (
        _raw_claims(lambda text: text.replace('"exp": ', '"exp": 1e999, "e": ')),
        Check.TIMES,
    ),
    "end of 1,000 digits": (
        _raw_claims(lambda text: text.replace('"exp": ', '"exp": ' + "9" * 1000 + ', "e": ')),
        Check.TIMES,
    ),
    "end no number": (
        _raw_claims(lambda text: text.replace('"exp": ', '"exp": NaN, "e": ')),
        Check.FORM,
    ),
    "not yet": (_at(nbf=SKEW_S + 5), Check.TIMES),
    "issued in the future": (_at(iat=SKEW_S + 5), Check.TIMES),
    "without a beginning": (_claims(iat=...), Check.TIMES),
    "too old": (_at(iat=-3601), Check.TIMES),
    "negative times": (_claims(iat=-1), Check.TIMES),
    "audience of another": (_claims(aud="https://other.test"), Check.AUDIENCE),
    "audience in other case": (_claims(aud=AUDIENCE.upper()), Check.AUDIENCE),
    "audience missing": (_claims(aud=...), Check.AUDIENCE),
    "audience empty": (_claims(aud=[]), Check.AUDIENCE),
    "audience an object": (_claims(aud={AUDIENCE: 1}), Check.AUDIENCE),
    "audience nested": (_claims(aud=[[AUDIENCE]]), Check.AUDIENCE),
    "a hundred audiences": (_claims(aud=[AUDIENCE] * 100), Check.AUDIENCE),
    "subject missing": (_claims(sub=...), Check.SUBJECT),
    "subject a number": (
        lambda one: signed(json.loads(HEAD + "}"), one.payload(sub=7)),
        Check.SUBJECT,
    ),
    "subject with a NUL": (lambda one: one.token(sub=one.subject + "\0"), Check.SUBJECT),
    "subject that continues": (lambda one: one.token(sub=one.subject + ":x"), Check.RULE),
    "subject in other case": (lambda one: one.token(sub=one.subject.upper()), Check.RULE),
    "subject that looks alike": (
        lambda one: one.token(sub=one.subject.replace("a", "\N{CYRILLIC SMALL LETTER A}")),
        Check.RULE,
    ),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_attack_is_refused_where_the_plain_token_is_accepted(
    issuing: Issuing, attack: tuple[Callable[[Issuing], str], Check]
) -> None:
    make, check = attack
    assert examined(issuing.token()).rule == issuing.rule
    assert refused_at(make(issuing)) is check


@pytest.mark.parametrize(
    "times",
    [
        {"nbf": SKEW_S - 5},
        {"iat": SKEW_S - 5},
        {"iat": -3590},
        {"exp": 5},
        {"exp": 10**9},
        {"nbf": -10},
    ],
    ids=str,
)
def test_times_within_their_bounds_are_accepted(issuing: Issuing, times: dict[str, int]) -> None:
    assert examined(_at(**times)(issuing)).rule == issuing.rule


def test_what_a_token_gives_ends_with_the_first_of_its_ends(issuing: Issuing) -> None:
    now = utc_now().replace(microsecond=0)
    soon = now + datetime.timedelta(seconds=60)
    far = int(now.timestamp()) + 10**8
    text = issuing.token(exp=far, iat=int(now.timestamp()))
    assert examined(text).ends_at == now + datetime.timedelta(seconds=3600)
    change_trust_rule(
        issuing.rule, actor=COMMAND, scopes=[Scope.CHAT], networks=[], expires_at=soon
    )
    assert examined(text).ends_at == soon
    assert examined(text, now=soon).rule is None


@pytest.mark.parametrize("kind", ["JWT", "jwt", "JOSE", "at+jwt", "application/at+jwt"])
def test_kinds_of_tokens_that_platforms_issue_are_accepted(issuing: Issuing, kind: str) -> None:
    assert examined(issuing.token(header={"typ": kind})).rule == issuing.rule


def test_key_that_the_issuer_took_back_checks_nothing_any_more(issuing: Issuing) -> None:
    old, new = jwk_of(RSA_KEY, "old"), jwk_of(ED_KEY, "ed")
    text = issuing.token(header={"kid": "old"})
    assert examined(text).wants_keys
    replace_keys(issuing.issuer, [old, new], actor=COMMAND)
    overlap = [text, issuing.token(algorithm="EdDSA")]
    assert [examined(one).rule for one in overlap] == [issuing.rule] * 2
    replace_keys(issuing.issuer, [new], actor=COMMAND)
    found = examined(text)
    assert found.rule is None
    assert found.wants_keys
    assert examined(overlap[1]).rule == issuing.rule


def test_token_that_names_no_key_is_held_against_the_only_one_there_is(issuing: Issuing) -> None:
    text = signed({"alg": "RS256"}, issuing.payload())
    assert refused_at(text) is Check.KEY
    replace_keys(issuing.issuer, [jwk_of(RSA_KEY, None)], actor=COMMAND)
    assert examined(text).rule == issuing.rule


def test_wrong_signature_under_a_known_key_asks_for_no_other_keys(issuing: Issuing) -> None:
    assert not examined(_brings("cty", "x")(issuing)).wants_keys


ENDS: dict[str, Callable[[Issuing], None]] = {
    "issuer": lambda one: disable_issuer(one.issuer, actor=COMMAND, reason=REASON),
    "rule": lambda one: disable_trust_rule(one.rule, actor=COMMAND, reason=REASON),
    "account": lambda one: disable_service_account(one.account, actor=COMMAND, reason=REASON),
    "team": lambda one: disable_team(one.account.team, actor=COMMAND, reason=REASON),
    "algorithm": lambda one: change_issuer(one.issuer, actor=COMMAND, algorithms=["ES256"]),
    "audience": lambda one: change_issuer(
        one.issuer, actor=COMMAND, audiences=["https://new.test"]
    ),
    "age": lambda one: change_issuer(one.issuer, actor=COMMAND, max_token_age_s=60),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_what_is_ended_ends_its_tokens(issuing: Issuing, end: Callable[[Issuing], None]) -> None:
    text = issuing.token(iat=int(time.time()) - 120)
    assert examined(text).rule == issuing.rule
    end(issuing)
    assert examined(text).rule is None


def test_later_rule_never_takes_a_token_from_an_earlier_one(issuing: Issuing) -> None:
    text = issuing.token()
    theirs = new_rule(issuing.issuer, new_account())
    assert theirs.team_id != issuing.rule.team_id
    assert examined(text).rule == issuing.rule
    disable_trust_rule(issuing.rule, actor=COMMAND, reason=REASON)
    assert examined(text).rule == theirs
    enable_trust_rule(issuing.rule, actor=COMMAND)
    found = examined(text)
    assert found.rule == issuing.rule
    assert found.met == [issuing.rule, theirs]


def test_rule_with_a_beginning_takes_what_follows_a_separator_alone() -> None:
    issuing = new_issuing(subject="repo:acme/*")
    fitting = ["repo:acme/app", "repo:acme/app:ref:refs/heads/main"]
    strange = [
        "repo:acme-evil/app",
        "repo:acme",
        "repo:acme/",
        "repo:ACME/app",
        "xrepo:acme/app",
    ]
    assert all(examined(issuing.token(sub=one)).rule == issuing.rule for one in fitting)
    assert [refused_at(issuing.token(sub=one)) for one in strange] == [Check.RULE] * len(strange)


CLAIMS = [
    {"claim": "environment", "one_of": ["production", "staging"]},
    {"claim": "/kubernetes.io/namespace", "one_of": ["invoicing"]},
    {"claim": "groups", "one_of": ["ops"]},
    {"claim": "run", "one_of": ["7"]},
]
SAID: dict[str, Any] = {
    "environment": "staging",
    "kubernetes.io": {"namespace": "invoicing"},
    "groups": ["dev", "ops"],
    "run": 7,
}


@pytest.mark.parametrize(
    "unsaid",
    [
        {"environment": "Production"},
        {"environment": ...},
        {"environment": {"production": "production"}},
        {"kubernetes.io": "invoicing"},
        {"kubernetes.io": {"namespace": ["other"]}},
        {"kubernetes.io": None},
        {"groups": [["ops"]]},
        {"groups": []},
        {"run": 7.0},
        {"run": True},
    ],
    ids=str,
)
def test_every_claim_that_a_rule_names_has_to_hold(unsaid: dict[str, Any]) -> None:
    issuing = new_issuing(claims=CLAIMS)
    assert examined(issuing.token(**SAID)).rule == issuing.rule
    assert refused_at(issuing.token(**(SAID | unsaid))) is Check.RULE


def test_rule_with_an_audience_asks_for_that_one_of_the_issuers() -> None:
    issuing = new_issuing()
    change_issuer(issuing.issuer, actor=COMMAND, audiences=[AUDIENCE, "latchkey-ci"])
    issuing.issuer.refresh_from_db()
    disable_trust_rule(issuing.rule, actor=COMMAND, reason=REASON)
    rule = new_rule(issuing.issuer, issuing.account, audience="latchkey-ci")
    assert examined(issuing.token(aud=["latchkey-ci"])).rule == rule
    assert examined(issuing.token(aud=["x", "latchkey-ci", AUDIENCE])).rule == rule
    assert refused_at(issuing.token()) is Check.RULE


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(Refused):
        read_token(text)


@given(
    header=st.dictionaries(
        st.text(max_size=6),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=9), st.lists, max_leaves=4
        ),
        max_size=5,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_header_says_no_exception_escapes(
    issuing: Issuing, header: dict[str, Any]
) -> None:
    head = {"alg": "RS256", "kid": "rsa"} | header
    body = f"{part(head)}.{part(issuing.payload())}"
    assert examined(f"{body}.AAAA").rule is None


def test_weak_key_is_not_taken_for_an_issuers() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - that is what is refused.
    both = json.dumps({"keys": [jwk_of(weak, "weak"), jwk_of(RSA_KEY, "rsa")]})
    assert [key["kid"] for key in read_jwks(both)] == ["rsa"]
    with pytest.raises(ValueError, match="None of the keys"):
        read_jwks(json.dumps({"keys": [jwk_of(weak, "weak"), {"kty": "oct", "k": "AAAA"}]}))
