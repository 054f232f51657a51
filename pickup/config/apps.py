from django.apps import AppConfig


class PickupConfig(AppConfig):
    name = "pickup"
    verbose_name = "包裹与费用 · Parcels and money"

    def ready(self) -> None:
        # Tasks are sent from web requests and commands too: the configured Celery application must exist there.
        from pickup.config import celery  # noqa: F401
