"""People sign in with their e-mail address; their id is opaque, so that audit rows survive the erasure of the person."""

import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils.functional import cached_property

from portal.lib.clock import utc_now
from portal.lib.ids import new_id

if TYPE_CHECKING:
    from accounts.models.roles import PortalAssignment


class People(BaseUserManager["User"]):
    """Finds and makes people by e-mail address, whose case never matters."""

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        person = self.model(email=self.normalize_email(email).lower(), **fields)
        person.set_password(password)
        person.save(using=self._db)
        return person

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """A person. What they may do follows from memberships and portal roles; `is_staff` stands while they have one of these."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(unique=True, max_length=254)
    name = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    # An administrator who signs in by password also where their domain's single sign-on is enforced, for the day it fails.
    is_break_glass = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=utc_now, editable=False)

    # The one team in which somebody acts who came with a key; None for whoever signed in. No column: every request has its own.
    acts_in_team_id: uuid.UUID | None = None

    objects = People()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = "person"
        verbose_name_plural = "people"
        constraints = [models.UniqueConstraint(Lower("email"), name="person_email_any_case")]

    def __str__(self) -> str:
        return self.email

    @cached_property
    def assigned_roles(self) -> "list[PortalAssignment]":
        """The portal roles they have rows of, read once for each request, which has a person of its own."""
        return list(self.portal_roles.all())

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: "models.QuerySet[Any] | None" = None,
    ) -> None:
        """Django's own, with the portal roles read anew as well."""
        self.__dict__.pop("assigned_roles", None)
        super().refresh_from_db(using, fields, from_queryset)
