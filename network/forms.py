"""What people type into the pages of this package."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import phonenumbers
from django import forms
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from network import photos
from network.models import AppointmentApplication, Membership, User


class PhoneField(forms.CharField):
    """A phone number as people write it, cleaned to E.164; without a country code it is the network's country's."""

    widget = forms.TextInput(attrs={"type": "tel", "autocomplete": "username", "inputmode": "tel"})

    def clean(self, value: str) -> str:
        typed = unicodedata.normalize("NFKC", super().clean(value))  # an input method may write full-width digits
        try:
            number = phonenumbers.parse(typed, settings.COUNTRY)
        except phonenumbers.NumberParseException as error:
            raise ValidationError(_("This is not a phone number."), code="phone") from error
        if not phonenumbers.is_possible_number(number):
            raise ValidationError(_("This is not a phone number."), code="phone")
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def spaced(phone: str) -> str:
    """Write a number (E.164) in groups, as a person compares it: +86 139 0000 1111."""
    return phonenumbers.format_number(phonenumbers.parse(phone), phonenumbers.PhoneNumberFormat.INTERNATIONAL)


class CodeField(forms.CharField):
    """The six digits of a message, with whatever an input method or a careful eye put between and around them."""

    widget = forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "one-time-code", "autofocus": True})

    def clean(self, value: str) -> str:
        digits = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", super().clean(value)))
        if not re.fullmatch(r"[0-9]{6}", digits, re.ASCII):
            raise ValidationError(_("The code has six digits."), code="code")
        return digits


class NewPasswordField(forms.CharField):
    widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=1024, strip=False, **kwargs)

    def clean(self, value: str) -> str:
        password: str = super().clean(value)
        validate_password(password)
        return password


class PhoneForm(forms.Form):
    phone = PhoneField(label=pgettext_lazy("sign-in", "Phone"), max_length=32)


class SignInForm(PhoneForm):
    password = forms.CharField(
        label=_("Password"),
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, by_code: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].required = not by_code


class CodeForm(forms.Form):
    code = CodeField(label=_("Code from the message"), max_length=32)


class ResetForm(CodeForm):
    password = NewPasswordField(label=_("New password"))


class NameForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("name",)
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "name"})}
        labels = {"name": _("Your name, as your colleagues see it")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].required = True


class PasswordForm(forms.Form):
    """Change a password: who knows the old one may choose a new one."""

    old = forms.CharField(
        label=_("Password until now"),
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    new = NewPasswordField(label=_("New password"))


class TitleForm(forms.Form):
    """The name of a passkey or of a device."""

    name = forms.CharField(label=_("Name"), max_length=100)


class InviteForm(forms.Form):
    phone = PhoneField(
        label=_("Phone of the person"),
        max_length=32,
        widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "off", "inputmode": "tel"}),
    )
    role = forms.ChoiceField(label=_("Role"), choices=Membership.Role.choices, initial=Membership.Role.CLERK)


class PlaceForm(forms.Form):
    """A place on the map in degrees of WGS 84; what is not a number on the globe is refused by the fields."""

    lat = forms.FloatField(label=_("latitude"), min_value=-90, max_value=90)
    lon = forms.FloatField(label=_("longitude"), min_value=-180, max_value=180)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("lat", "lon"):
            self.fields[name].widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})


class PointApplicationForm(PlaceForm):
    """An application for a service point. The photo may stay away where one was sent before."""

    name = forms.CharField(label=_("Name of the shop"), max_length=100)
    address = forms.CharField(
        label=_("Address"), max_length=300, help_text=_("With province, city and district, as on a parcel.")
    )
    phone = PhoneField(label=_("Phone of the shop, shown to visitors"), max_length=32)
    capacity = forms.IntegerField(
        label=_("Room for parcels"),
        min_value=1,
        max_value=10_000,
        help_text=_("How many stand on your shelves at once."),
    )
    photo = forms.FileField(
        label=_("Photo of the shop from the street"),
        max_length=200,
        widget=forms.FileInput(attrs={"accept": "image/jpeg,image/png,image/webp"}),
        help_text=_("JPEG, PNG or WebP, up to 10 MB. Where and when it was taken is not kept."),
    )
    field_order = ("name", "address", "lat", "lon", "phone", "capacity", "photo")

    def __init__(self, *args: Any, has_photo: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["photo"].required = not has_photo
        self.fields["phone"].widget = forms.TextInput(attrs={"type": "tel", "autocomplete": "tel", "inputmode": "tel"})

    def clean_photo(self) -> bytes | None:
        uploaded = self.cleaned_data.get("photo")
        if not uploaded:
            return None
        if uploaded.size > photos.UPLOAD_BYTES:
            raise ValidationError(_("The photo is too large: at most 10 MB and 24 megapixels."), code="too_large")
        try:
            return photos.kept(uploaded.read(), most_bytes=photos.UPLOAD_BYTES)
        except photos.BadPhoto as error:
            words = {
                "too_large": _("The photo is too large: at most 10 MB and 24 megapixels."),
                "empty": _("The file is empty."),
                "unreadable": _("This is not a photo that can be read. Send JPEG, PNG or WebP."),
            }
            raise ValidationError(words[error.code], code=error.code) from error


class AppointmentApplicationForm(forms.ModelForm):  # type: ignore[type-arg]
    """Why somebody wants a region. There is nothing to pay, so there is no field for it (R9)."""

    name = forms.CharField(label=_("Your name"), max_length=100, widget=forms.TextInput(attrs={"autocomplete": "name"}))

    class Meta:
        model = AppointmentApplication
        fields = ("reasons", "contact")
        widgets = {"reasons": forms.Textarea(attrs={"rows": 6})}
        labels = {
            "reasons": _("Why you: what you know of the region and its shops, and what you would do"),
            "contact": _("How and when you are best reached, if not by your phone"),
        }

    field_order = ("name", "reasons", "contact")

    def __init__(self, *args: Any, named: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if named:
            del self.fields["name"]
        self.order_fields(self.field_order)
