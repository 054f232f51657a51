import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pickup.config.settings")
application = get_wsgi_application()

from pickup.config import checks  # noqa: E402 - it needs the settings

checks.refuse_unsafe("web server")
