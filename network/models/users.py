"""People who sign in. One phone number is one account."""

from __future__ import annotations

from typing import Any, ClassVar

import pghistory
import pgtrigger
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, Group, PermissionsMixin
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from network.models.history import ADDED, CHANGED, REMOVED, kept

E164 = r"^\+[1-9][0-9]{6,14}$"


class UserManager(BaseUserManager["User"]):
    def create_user(self, phone: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(phone=phone, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, phone: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(phone, password, is_staff=True, is_superuser=True, **fields)


@kept(
    pghistory.InsertEvent(ADDED),
    pghistory.UpdateEvent(CHANGED),
    # That it was set is remembered; what it is, never.
    pghistory.UpdateEvent("password", condition=pgtrigger.AnyChange("password")),
    pghistory.DeleteEvent(REMOVED),
    hidden=("password", "last_login"),
)
class User(AbstractBaseUser, PermissionsMixin):
    """A person: admin (`is_staff`), member of service points, or agent; one may be all of them."""

    phone = models.CharField(_("phone"), max_length=16, unique=True, help_text="E.164, +8613800138000")
    name = models.CharField(_("name"), max_length=100, blank=True)
    is_staff = models.BooleanField(_("admin"), default=False)
    is_active = models.BooleanField(_("active"), default=True)
    joined_at = models.DateTimeField(_("joined"), auto_now_add=True)

    objects = UserManager()

    USERNAME_FIELD = "phone"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")
        constraints = [models.CheckConstraint(name="user_phone_e164", condition=Q(phone__regex=E164))]
        permissions = [("view_history", "Can view the history of changes")]

    def __str__(self) -> str:
        return self.name or f"…{self.phone[-4:]}"

    def get_short_name(self) -> str:
        return str(self)


# Who may do what is decided in tables of Django's own; these stand for them, so that their history is kept too.
@kept(pghistory.InsertEvent(ADDED), pghistory.DeleteEvent(REMOVED), about="user", link=True)
class GroupOfUser(User.groups.through):  # type: ignore[name-defined, misc]
    class Meta:
        proxy = True
        verbose_name = _("group of a person")
        default_permissions = ()


@kept(pghistory.InsertEvent(ADDED), pghistory.DeleteEvent(REMOVED), about="user", link=True)
class RightOfUser(User.user_permissions.through):  # type: ignore[name-defined, misc]
    class Meta:
        proxy = True
        verbose_name = _("right of a person")
        default_permissions = ()


@kept()
class Rights(Group):
    class Meta:
        proxy = True
        verbose_name = _("group")
        default_permissions = ()


@kept(pghistory.InsertEvent(ADDED), pghistory.DeleteEvent(REMOVED), about="group", link=True)
class RightOfGroup(Group.permissions.through):  # type: ignore[name-defined, misc]
    class Meta:
        proxy = True
        verbose_name = _("right of a group")
        default_permissions = ()


@kept(pghistory.DeleteEvent(REMOVED), hidden=("data", "last_used_at"), about="user")
class Passkey(Authenticator):  # type: ignore[misc]
    class Meta:
        proxy = True
        verbose_name = _("passkey")
        default_permissions = ()


class SignInAttempt(models.Model):
    """A wrong password, or one not yet found right. Here and not in a cache, so that a restart forgives nothing.

    Rows are deleted when they no longer count; see `network.access`. `phone_hash` is keyed: it tells equal numbers
    and is read back by nobody. `address` is an IPv4 address or an IPv6 network of 64 bits.
    """

    phone_hash = models.BinaryField(_("keyed hash of the phone"), max_length=16, editable=False)
    address = models.CharField(_("network address"), max_length=64, blank=True)
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("attempt to sign in")
        verbose_name_plural = _("attempts to sign in")
        indexes = [
            models.Index(name="sign_in_phone", fields=["phone_hash", "at"]),
            models.Index(name="sign_in_address", fields=["address", "at"]),
            models.Index(name="sign_in_at", fields=["at"]),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M}"


class SignInCode(models.Model):
    """A code that was asked for by SMS, for a phone with an account or for one without, whose limits are the same.

    Here and not in a cache, so that a restart forgives neither a try nor a message. Rows are deleted when they no
    longer count; see `network.access`. Neither code nor phone can be read back from their keyed hashes. `took_ms` is
    null where nothing was sent because nobody has the phone.
    """

    class Purpose(models.TextChoices):
        SIGN_IN = "sign_in", _("sign in")
        RESET = "reset", _("set a password")
        OPEN = "open", _("open an account")

    phone_hash = models.BinaryField(_("keyed hash of the phone"), max_length=16, editable=False)
    purpose = models.CharField(_("purpose"), max_length=10, choices=Purpose.choices)
    code_hash = models.BinaryField(_("keyed hash of the code"), max_length=32, editable=False)
    address = models.CharField(_("network address"), max_length=64, blank=True)
    made_at = models.DateTimeField(_("made"))
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    took_ms = models.PositiveIntegerField(_("sending took, ms"), null=True, blank=True)
    failed = models.BooleanField(_("not sent"), default=False)

    class Meta:
        verbose_name = _("sign-in code")
        verbose_name_plural = _("sign-in codes")
        indexes = [
            models.Index(name="sign_in_code_phone", fields=["phone_hash", "made_at"]),
            models.Index(name="sign_in_code_address", fields=["address", "made_at"]),
            models.Index(name="sign_in_code_made", fields=["made_at"]),
        ]
        constraints = [
            models.UniqueConstraint(
                name="sign_in_code_one_open", fields=["phone_hash"], condition=Q(ended_at__isnull=True)
            ),
            models.CheckConstraint(name="sign_in_code_five_tries", condition=Q(tries__lte=5)),
        ]

    def __str__(self) -> str:
        return f"{self.made_at:%Y-%m-%d %H:%M}"
