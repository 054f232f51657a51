from django.apps import AppConfig
from django.db.models.signals import post_migrate


class PickupConfig(AppConfig):
    name = "pickup"
    verbose_name = "包裹与费用 · Parcels and money"

    def ready(self) -> None:
        # Tasks are sent from web requests and commands too: the configured Celery application must exist there.
        from pickup.config import celery, checks, roles  # noqa: F401

        post_migrate.connect(roles.after_migrate, sender=self)
