"""One whole token and key document of each platform as it makes them: taken by its documented rule, refused with one change."""

import time
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from django.core.exceptions import ValidationError

from accounts.models import TrustRule
from accounts.models.workload import KeySource
from accounts.workload.examine import Check, examine
from accounts.workload.jwks import read_jwks
from accounts.writes.issuers import find_keys
from portal.lib.clock import utc_now
from tests.accounts.rows import new_account
from tests.accounts.workload.issuing import (
    AUDIENCE,
    EC_KEY,
    OTHER_RSA_KEY,
    RSA_KEY,
    jwk_of,
    jwks,
    new_issuer,
    new_rule,
)

pytestmark = pytest.mark.django_db
DAY_S = 24 * 60 * 60
TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
IDENTITY = "8f9e6c3a-2d11-4a0c-9a57-1d9c5b7e4f20"
DOMAIN = "spiffe://corp.example"
CERTIFICATE = {"use": "x509-svid", "x5c": ["MIIB"]}


@dataclass(frozen=True)
class Platform:
    """times: in seconds from now. change: what makes the token a stranger's, and the check that says so."""

    issuer: dict[str, Any]
    rule: dict[str, Any]
    keys: list[dict[str, Any]]
    header: dict[str, Any]
    claims: dict[str, Any]
    times: dict[str, int]
    change: tuple[dict[str, Any], Check]

    def token(self, **changes: Any) -> str:
        """A token that is accepted, but for the changes; `...` leaves a claim out."""
        now = int(time.time())
        made = self.claims | {name: now + one for name, one in self.times.items()} | changes
        return jwt.encode(
            {name: value for name, value in made.items() if value is not ...},
            EC_KEY if self.header["alg"] == "ES256" else RSA_KEY,
            algorithm=self.header["alg"],
            headers=self.header,
        )

    def rule_made(self) -> TrustRule:
        issuer = new_issuer(keys=read_jwks(jwks(*self.keys)), **self.issuer)
        return new_rule(issuer, new_account(), **self.rule)


def rsa_key(kid: str, **members: Any) -> dict[str, Any]:
    return jwk_of(RSA_KEY, kid, use="sig", **members)


def head(kid: str, alg: str = "RS256", **members: Any) -> dict[str, Any]:
    return {"alg": alg, "kid": kid, "typ": "JWT"} | members


PLATFORMS = {
    "Kubernetes": Platform(
        issuer={"issuer": "https://kubernetes.default.svc.cluster.local"},
        rule={"subject": "system:serviceaccount:invoicing:reader"},
        keys=[rsa_key("3CwWvvL0nNdB", alg="RS256")],
        # The API server writes no `typ`.
        header=head("3CwWvvL0nNdB", typ=None),
        claims={
            "aud": [AUDIENCE],
            "iss": "https://kubernetes.default.svc.cluster.local",
            "jti": "e1f8f7a2-7ad2-4e0c-a0f5-0a5e7f8d4a11",
            "kubernetes.io": {
                "namespace": "invoicing",
                "node": {"name": "worker-2", "uid": "1c5c5a9e-54e4-4b1c-a3c1-3d2f0f1a9d7b"},
                "pod": {"name": "reader-0", "uid": "b7a1d0ce-77f6-4a61-9d6f-8b0a2ad44f1e"},
                "serviceaccount": {"name": "reader", "uid": "5d0c8b4a-1f6b-4b3c-bb6a-0a7a5b0c5b7d"},
            },
            "sub": "system:serviceaccount:invoicing:reader",
        },
        times={"iat": -10, "nbf": -10, "exp": 3590},
        change=({"sub": "system:serviceaccount:default:reader"}, Check.RULE),
    ),
    "GitHub": Platform(
        issuer={"issuer": "https://token.actions.githubusercontent.com"},
        rule={
            "subject": "repo:acme/app:environment:production",
            "claims": [{"claim": "repository_owner_id", "one_of": ["1342004"]}],
        },
        keys=[
            rsa_key("cc413527-173f-5a05-976e-9c52b1d7b431", alg="RS256"),
            jwk_of(OTHER_RSA_KEY, "38826b17-6a30-5f9b-b169-8beb8202f723", use="sig", alg="RS256"),
        ],
        header=head("cc413527-173f-5a05-976e-9c52b1d7b431", x5t="ykNaY4qM_ta4k2TgZOCEYLkcYlA"),
        claims={
            "actor": "ada",
            "actor_id": "12345",
            "aud": AUDIENCE,
            "base_ref": "",
            "environment": "production",
            "event_name": "push",
            "head_ref": "",
            "iss": "https://token.actions.githubusercontent.com",
            "job_workflow_ref": "acme/app/.github/workflows/deploy.yml@refs/heads/main",
            "jti": "0d7a9a9a-34a0-43a6-9c63-2a2d8f2a1e5c",
            "ref": "refs/heads/main",
            "ref_protected": "true",
            "ref_type": "branch",
            "repository": "acme/app",
            "repository_id": "74",
            "repository_owner": "acme",
            "repository_owner_id": "1342004",
            "repository_visibility": "private",
            "run_attempt": "1",
            "run_id": "9876543210",
            "runner_environment": "github-hosted",
            "sha": "2d6f9f2c8d6b0a1e",
            "sub": "repo:acme/app:environment:production",
            "workflow": "deploy",
        },
        times={"iat": 0, "nbf": -600, "exp": 300},
        change=({"repository_owner_id": "999"}, Check.RULE),
    ),
    "GitLab": Platform(
        issuer={"issuer": "https://gitlab.com"},
        rule={
            "subject": "project_path:acme/app:ref_type:branch:ref:main",
            "claims": [
                {"claim": "namespace_id", "one_of": ["72"]},
                {"claim": "ref_protected", "one_of": ["true"]},
            ],
        },
        keys=[rsa_key("4i3sFE7sxqNPOT7FdvcGA1ZVGGI_r-tsDXnEuYT4ZqE", alg="RS256")],
        header=head("4i3sFE7sxqNPOT7FdvcGA1ZVGGI_r-tsDXnEuYT4ZqE"),
        claims={
            "aud": AUDIENCE,
            "ci_config_ref_uri": "gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main",
            "environment": "production",
            "iss": "https://gitlab.com",
            "job_id": "302",
            "jti": "235b3a54-b797-45c7-ae9a-f72d7bc6ef5b",
            "namespace_id": "72",
            "namespace_path": "acme",
            "pipeline_id": "574",
            "pipeline_source": "push",
            "project_id": "20",
            "project_path": "acme/app",
            "ref": "main",
            "ref_protected": "true",
            "ref_type": "branch",
            "runner_id": 1,
            "sub": "project_path:acme/app:ref_type:branch:ref:main",
            "user_access_level": "developer",
            "user_email": "ada@corp.example",
            "user_id": "1",
        },
        times={"iat": 0, "nbf": -5, "exp": 3600},
        change=({"ref_protected": "false"}, Check.RULE),
    ),
    "Google": Platform(
        issuer={"issuer": "https://accounts.google.com"},
        rule={"subject": "113774264463038321964"},
        keys=[rsa_key("c8ab71530972bba20b49f78a09c9852c43ff9118", alg="RS256")],
        header=head("c8ab71530972bba20b49f78a09c9852c43ff9118"),
        claims={
            "aud": AUDIENCE,
            "azp": "113774264463038321964",
            "email": "reader@acme.iam.gserviceaccount.com",
            "email_verified": True,
            "google": {
                "compute_engine": {
                    "instance_creation_timestamp": 1764000000,
                    "instance_id": "152986662232938449",
                    "instance_name": "reader",
                    "project_id": "acme",
                    "project_number": 739419398126,
                    "zone": "europe-west1-b",
                }
            },
            "iss": "https://accounts.google.com",
            "sub": "113774264463038321964",
        },
        times={"iat": 0, "exp": 3600},
        change=({"aud": "https://other.example"}, Check.AUDIENCE),
    ),
    # The platform keeps a token for up to 24 hours and gives the same one again.
    "Azure": Platform(
        issuer={
            "issuer": f"https://login.microsoftonline.com/{TENANT}/v2.0",
            "audiences": ["6e74172b-be56-4843-9ff4-e66a39bb12e3"],
            "max_token_age_s": DAY_S,
        },
        rule={"subject": IDENTITY, "claims": [{"claim": "tid", "one_of": [TENANT]}]},
        keys=[
            rsa_key(
                "-KI3Q9nNR7bRofxmeZoXqbHZGew",
                x5t="-KI3Q9nNR7bRofxmeZoXqbHZGew",
                x5c=["MIIC"],
                cloud_instance_name="microsoftonline.com",
                issuer="https://login.microsoftonline.com/{tenantid}/v2.0",
            )
        ],
        header=head("-KI3Q9nNR7bRofxmeZoXqbHZGew"),
        claims={
            "aio": "k2RgYPgcvkZ",
            "aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3",
            "azp": "a2e05f71-4f75-4b3d-8a3e-6f1b2c1d0e9f",
            "azpacr": "2",
            "idtyp": "app",
            "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
            "oid": IDENTITY,
            "rh": "0.AAAA",
            "sub": IDENTITY,
            "tid": TENANT,
            "uti": "zQ0",
            "ver": "2.0",
        },
        times={"iat": 60 - DAY_S, "nbf": 60 - DAY_S, "exp": 360},
        change=({"sub": TENANT}, Check.RULE),
    ),
    # Without `jwt_issuer` SPIRE names no issuer, and the standard asks for no `iat`.
    "SPIRE": Platform(
        issuer={"issuer": DOMAIN},
        rule={"subject": f"{DOMAIN}/ns/invoicing/*"},
        keys=[
            jwk_of(RSA_KEY, None) | CERTIFICATE,
            jwk_of(EC_KEY, "vIjX6mGVgsTbgZPhNjPKXOHjqCFa9fNW", use="jwt-svid"),
        ],
        header=head("vIjX6mGVgsTbgZPhNjPKXOHjqCFa9fNW", "ES256"),
        claims={"aud": [AUDIENCE], "sub": f"{DOMAIN}/ns/invoicing/sa/reader"},
        times={"exp": 300},
        change=({"sub": "spiffe://other.example/ns/invoicing/sa/reader"}, Check.ISSUER),
    ),
}


def refused_at(text: str) -> Check:
    found = examine(text, now=utc_now())
    assert found.rule is None
    return found.outcomes[-1].check


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)
def test_token_of_the_platform_is_taken_by_its_rule_and_a_strangers_is_not(
    platform: Platform,
) -> None:
    rule = platform.rule_made()
    assert examine(platform.token(), now=utc_now()).rule == rule
    change, check = platform.change
    assert refused_at(platform.token(**change)) is check


def test_trust_domain_speaks_of_its_own_workloads_alone_and_no_longer_than_it_may() -> None:
    spire = PLATFORMS["SPIRE"]
    rule = spire.rule_made()
    now = int(time.time())
    taken: list[dict[str, Any]] = [{"iss": DOMAIN}, {"iat": now}, {"exp": now + 3600}]
    refused: list[tuple[dict[str, Any], Check]] = [
        ({"iss": DOMAIN, "sub": "spiffe://corp.example.evil/ns/invoicing/x"}, Check.SUBJECT),
        ({"iss": DOMAIN, "sub": f"{DOMAIN}/ns/invoicing/../x"}, Check.SUBJECT),
        ({"iss": ""}, Check.ISSUER),
        ({"sub": f"{DOMAIN}/ns/invoicing/"}, Check.ISSUER),
        ({"sub": DOMAIN}, Check.ISSUER),
        ({"sub": f"{DOMAIN}/ns/other"}, Check.RULE),
        ({"exp": ...}, Check.TIMES),
        ({"exp": now + 3700}, Check.TIMES),
        ({"iat": None}, Check.TIMES),
        ({"iat": now - 3601}, Check.TIMES),
        ({"aud": ...}, Check.AUDIENCE),
    ]
    assert [examine(spire.token(**one), now=utc_now()).rule for one in taken] == [rule] * 3
    assert [refused_at(spire.token(**one)) for one, _ in refused] == [check for _, check in refused]


def test_bundle_without_a_key_for_tokens_gives_none() -> None:
    kept = read_jwks(jwks(*PLATFORMS["SPIRE"].keys))
    assert [key["kid"] for key in kept] == ["vIjX6mGVgsTbgZPhNjPKXOHjqCFa9fNW"]
    with pytest.raises(ValueError, match="None of the keys"):
        read_jwks(jwks(jwk_of(EC_KEY, None) | CERTIFICATE))


def test_trust_domain_is_not_discovered() -> None:
    with pytest.raises(ValidationError, match="give its bundle"):
        find_keys(DOMAIN, key_source=KeySource.DISCOVERY)
