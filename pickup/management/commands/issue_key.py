"""`issue_key merchant NAME` and `issue_key device POINT_REF`: the key is shown once and only its hash is kept."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.timezone import localdate

from network import access
from network.history import RememberedCommand
from network.models import Device, ServicePoint
from pickup.models import Merchant, MerchantKey


class Command(RememberedCommand):
    help = (
        "Make an API key for a merchant, who is made if unknown, or for a new device of a service point. The key is "
        "printed once, alone; only its hash is stored."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=["merchant", "device"])
        parser.add_argument("name", metavar="NAME | POINT_REF")

    def handle(self, *args: Any, kind: str, name: str, **options: Any) -> None:
        name = name.strip()
        if not 0 < len(name) <= 100 or not name.isprintable():
            raise CommandError("a name has 1 to 100 printable characters")
        key, key_hash = access.new_key()
        if kind == "merchant":
            merchant, _ = Merchant.objects.get_or_create(name=name)
            MerchantKey.objects.create(merchant=merchant, key_hash=key_hash)
        else:
            point = ServicePoint.objects.filter(ref=name).first()
            if point is None:
                raise CommandError(f"no service point has the reference {name}")
            Device.objects.create(service_point=point, name=f"device of {localdate()}", key_hash=key_hash)
        self.stdout.write(key)
