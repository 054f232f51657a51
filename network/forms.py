"""What people type into the pages of this package."""

from __future__ import annotations

import unicodedata

import phonenumbers
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _


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


class SignInForm(forms.Form):
    phone = PhoneField(label=_("Phone"), max_length=32)
    password = forms.CharField(
        label=_("Password"),
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
