"""The demonstration's rows: people, a team with a key, and two models behind the demonstration upstream."""

import datetime
import hmac
import secrets
from typing import Any

from django.conf import settings

from accounts.audit import SYSTEM
from accounts.credential import read_credential
from accounts.models import ApiKey, Team, User
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.keys import issue_key, revoke_key
from accounts.writes.people import create_person
from accounts.writes.teams import add_member, create_service_account, create_team
from models_registry.models import AiModel, ModelKind, ModelStatus, Provider
from models_registry.writes.catalogue import add_model, deploy_model, set_model_status
from models_registry.writes.grants import grant_model
from models_registry.writes.providers import add_provider, change_provider, open_credential
from portal.lib.clock import utc_now
from portal.lib.crypto import Peppers, SealBroken

PROVIDER = "demonstration"
TEAM = "Demonstration team"
ADMIN = "admin@latchkey.example"
MEMBER = "member@latchkey.example"
APPLICATION, KEY = "demonstration-app", "Demonstration"
CHAT, EMBEDDINGS = "demo-chat", "demo-embed"
# Offered and not granted, so that there is something to ask for.
TO_ASK_FOR = "demo-chat-large"
DEMONSTRATION_DAYS = 365

Facts = dict[str, Any]


def follow_upstream(url: str, credential: str, *, kept: Facts | None) -> Facts | None:
    """Point a seeded demonstration at where its upstream is now. Returns its facts, or None if it has to be seeded.

    Rows whose sign-ins were lost get new ones: passwords and keys cannot be read back.
    """
    provider = Provider.objects.filter(name=PROVIDER).first()
    if provider is None:
        return None
    if provider.base_url != url or not _is_sealed(provider, credential):
        change_provider(provider, actor=SYSTEM, base_url=url, credential=credential)
    return kept if kept is not None and _still_true(kept) else None


def seed(url: str, credential: str) -> Facts:
    """Make the demonstration, or what of it is missing. Passwords and the key are random, and new each time."""
    admin, admin_password = _person(ADMIN, is_administrator=True)
    member, member_password = _person(MEMBER, is_administrator=False)
    team = Team.objects.filter(name=TEAM).first() or create_team(TEAM, actor=SYSTEM)
    for person, role in ((admin, Role.OWNER), (member, Role.MEMBER)):
        if not team.memberships.filter(person=person).exists():
            add_member(team, person=person, role=role, actor=SYSTEM)
    provider = Provider.objects.filter(name=PROVIDER).first() or add_provider(
        PROVIDER, base_url=url, credential=credential, is_demonstration=True, actor=SYSTEM
    )
    ends_at = utc_now() + datetime.timedelta(days=DEMONSTRATION_DAYS)
    for name, kind in ((CHAT, ModelKind.CHAT), (EMBEDDINGS, ModelKind.EMBEDDINGS)):
        if not AiModel.objects.filter(name=name).exists():
            model = _offer(name, kind, provider, team)
            grant_model(model, to=team, scopes=[Scope(kind.value)], ends_at=ends_at, actor=SYSTEM)
    if not AiModel.objects.filter(name=TO_ASK_FOR).exists():
        _offer(TO_ASK_FOR, ModelKind.CHAT, provider, team)
    account = team.service_accounts.filter(name=APPLICATION).first()
    if account is None:
        account = create_service_account(team, name=APPLICATION, actor=SYSTEM)
    for key in account.keys.filter(name=KEY, revoked_at=None):
        revoke_key(key, actor=SYSTEM, reason="Its text was lost, and a new key takes its place.")
    issued = issue_key(
        team,
        holder=account,
        name=KEY,
        purpose="First calls",
        scopes=[Scope.CHAT, Scope.EMBEDDINGS],
        expires_at=ends_at,
        actor=SYSTEM,
    )
    return {
        "admin": {"email": ADMIN, "password": admin_password},
        "member": {"email": MEMBER, "password": member_password},
        "api_key": issued.text,
        "models": {"chat": CHAT, "embeddings": EMBEDDINGS},
    }


def _offer(name: str, kind: ModelKind, provider: Provider, team: Team) -> AiModel:
    """A published model with made-up prices, so that usage shows a cost."""
    model = add_model(
        name,
        kind=kind,
        actor=SYSTEM,
        description="A demonstration: answers are simulated on this machine.",
        owner=team,
        context_tokens=8192,
        max_output_tokens=1024 if kind is ModelKind.CHAT else 0,
        price_input=150_000,
        price_cached_input=75_000,
        price_output=600_000 if kind is ModelKind.CHAT else 0,
    )
    served = CHAT if kind is ModelKind.CHAT else EMBEDDINGS
    deploy_model(model, provider=provider, upstream_name=served, actor=SYSTEM)
    set_model_status(model, status=ModelStatus.PUBLISHED, actor=SYSTEM)
    return model


def _person(email: str, *, is_administrator: bool) -> tuple[User, str]:
    password = secrets.token_urlsafe(18)
    person = User.objects.filter(email=email).first()
    if person is None:
        person = create_person(
            email, password=password, is_administrator=is_administrator, actor=SYSTEM
        )
    else:
        person.set_password(password)
        person.save(update_fields=["password"])
    return person, password


def _is_sealed(provider: Provider, credential: str) -> bool:
    """Whether this credential is the sealed one; a seal that a new sealing key cannot open holds none."""
    try:
        return open_credential(provider) == credential
    except SealBroken:
        return False


def _still_true(kept: Facts) -> bool:
    """Whether the kept key proves itself as a live one of this database, and not of one that was deleted."""
    credential = read_credential(str(kept.get("api_key", "")))
    if credential is None:
        return False
    key = ApiKey.objects.filter(
        public_id=credential.public_id, revoked_at=None, expires_at__gt=utc_now()
    ).first()
    if key is None:
        return False
    proof = Peppers(settings.LATCHKEY_KEY_PEPPERS).digest(credential.text, pepper_id=key.pepper_id)
    return hmac.compare_digest(proof, bytes(key.digest))
