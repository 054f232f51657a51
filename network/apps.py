from django.apps import AppConfig


class NetworkConfig(AppConfig):
    name = "network"
    verbose_name = "网络 · Network"

    def ready(self) -> None:
        # What is wrong in the settings is told when a process starts, and not when the first address comes.
        from network import geocoders

        geocoders.configured()
