"""Django settings. What differs between machines comes from the environment; `manage.py` fills it on one machine."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from glob import glob
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pghistory
from celery.schedules import schedule
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _
from psycopg.conninfo import conninfo_to_dict

BASE_DIR = Path(__file__).resolve().parents[2]
PICKUP_HOME = Path(os.environ.get("PICKUP_HOME", BASE_DIR / ".local")).resolve()
TESTING = "pytest" in sys.modules


def read_secrets() -> dict[str, Any]:
    """Keys that must never be in the database: see `pickup.config.launcher` for how the file is made."""
    path = Path(os.environ.get("PICKUP_SECRETS_FILE", PICKUP_HOME / "secrets.json"))
    try:
        secrets: dict[str, Any] = json.loads(path.read_text())
    except OSError as error:
        raise ImproperlyConfigured(
            f"no secrets at {path}: run any command through manage.py once, or set PICKUP_SECRETS_FILE"
        ) from error
    return secrets


def library_of(package: str, pattern: str) -> str | None:
    """GDAL and GEOS come inside wheels, so that no system package is needed; their file names carry a hash."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    site = Path(spec.submodule_search_locations[0]).parent
    found = sorted(glob(str(site / f"{package}.libs" / pattern)) + glob(str(site / package / ".dylibs" / pattern)))
    return found[0] if found else None


# Statements are prepared where the code asks for it; without a threshold psycopg would not listen to that either.
NEVER_BY_ITSELF = 1 << 30


def database_from(url: str, role: str) -> dict[str, Any]:
    """A libpq URL as Django's dictionary; libpq itself does the parsing, unix sockets and options included.

    `role` is taken when a connection is made, where the login is another one: see docs/decisions/0016-roles.md.
    """
    parts = conninfo_to_dict(url)
    known = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    options: dict[str, Any] = {name: value for name, value in parts.items() if name not in known}
    # Nothing fails a test for having taken long on a slow machine; the database itself is made within one transaction.
    wait, patience = ("30s", "120s") if TESTING else ("3s", "10s")
    limits = (
        f"-c lock_timeout={wait} -c statement_timeout={patience} -c idle_in_transaction_session_timeout={patience}"
        " -c timezone=UTC"
    )
    taken = f"-c role={role}" if role else ""
    options["options"] = f"{parts.get('options') or ''} {limits} {taken}".strip()
    options["prepare_threshold"] = NEVER_BY_ITSELF
    if not TESTING:
        # After a restart of the database the pool tries when somebody asks, and not at longer and longer pauses.
        options["pool"] = {"min_size": 1, "max_size": 8, "timeout": 10, "max_lifetime": 600, "reconnect_timeout": 3}
    return {
        "ENGINE": "django.contrib.gis.db.backends.postgis",
        **{known[name]: str(value) for name, value in parts.items() if name in known},
        "OPTIONS": options,
        "ATOMIC_REQUESTS": False,
        "CONN_HEALTH_CHECKS": False,
        "TEST": {"TEMPLATE": "template1"},
    }


SECRETS = read_secrets()
SECRET_KEY = SECRETS["django_secret_key"]
DEBUG = os.environ.get("PICKUP_DEBUG") == "1"
ALLOWED_HOSTS = os.environ.get("PICKUP_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
BASE_URL = os.environ.get("PICKUP_BASE_URL", "http://127.0.0.1:8000").rstrip("/")
CSRF_TRUSTED_ORIGINS = [BASE_URL]

GDAL_LIBRARY_PATH = library_of("pyogrio", "libgdal*")
GEOS_LIBRARY_PATH = library_of("shapely", "libgeos_c*")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.gis",
    "django.contrib.postgres",
    "csp",
    "allauth",
    "allauth.account",  # the passkeys stand on it; its own pages and addresses are not used
    "allauth.mfa",
    "pgtrigger",
    "pghistory",  # the triggers that keep the history: docs/decisions/0015-history.md
    "network",
    "pickup.config.apps.PickupConfig",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "pickup.api.front.front",
    "network.views.limits.refuse_huge",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "network.history.HistoryMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "pickup.config.away.AwayMiddleware",
]
ROOT_URLCONF = "pickup.config.urls"
WSGI_APPLICATION = "pickup.config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {
    "default": database_from(
        os.environ.get("DATABASE_URL", "postgresql:///pickup"), os.environ.get("DATABASE_ROLE", "")
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

PGHISTORY_FOREIGN_KEY_FIELD = pghistory.ForeignKey(db_index=False)
PGHISTORY_CREATED_AT_FUNCTION = "clock_timestamp()"  # when it happened, not when its transaction began
HISTORY_NOT_FOR = r"/(api/|t/|counter/\d+/(state|scans|releases)$)"  # scans, which say themselves who made them

AUTH_USER_MODEL = "network.User"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# Only the passkeys are allauth's: docs/decisions/0008-sign-in.md. People have neither an e-mail nor a second name.
ACCOUNT_USER_MODEL_USERNAME_FIELD = ACCOUNT_USER_MODEL_EMAIL_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SIGNUP_FIELDS = ["phone*"]
ACCOUNT_LOGIN_METHODS = {"phone"}
MFA_SUPPORTED_TYPES = ["webauthn"]
LOGIN_URL = "/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", _("简体中文")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "network" / "locale", BASE_DIR / "pickup" / "locale"]
TIME_ZONE = os.environ.get("PICKUP_TIME_ZONE", "Asia/Shanghai")
USE_TZ = True

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True

# One bundle of settings for a public server behind TLS; on 127.0.0.1 there is no TLS to insist on.
SECURE = BASE_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = SECURE
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE else None
SESSION_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
SILENCED_SYSTEM_CHECKS: list[str] = []
if not SECURE:
    # `check --deploy` asks for TLS; `up` on 127.0.0.1 has none. With PICKUP_BASE_URL=https://… nothing is silenced.
    SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008", "security.W012", "security.W016"]

DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

# A key may call so often in each web process, and forty seconds' worth at once; see pickup/api/front.py.
API_CALLS_PER_S = int(os.environ.get("PICKUP_API_CALLS_PER_S", "500"))

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL", "redis://localhost:6379/0")
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_TIME_LIMIT = 300  # sweeps end long before; half of `visibility_timeout`, so that none runs twice at once
CELERY_TIMEZONE = "UTC"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a broker may be away for as long as it likes
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    "unacked_restore_throttle": 1,  # look for what a lost worker left behind at each interval, not at each tenth
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "retry_on_timeout": True,
}
# A sweep that finds nothing is one index scan, so it may run often; `expires` keeps a stopped worker from
# finding hours of them when it comes back. Several clocks may ring: one effect for each period, see pickup/periods.py.
SWEEPS = {
    "assign_waiting": 10,
    "send_notices": 10,
    "expire_held_parcels": 60,
    "mend_missing": 120,
    "remind_recipients": 300,
    "close_points": 60,
    "place_points": 10,
    "preview_drafts": 10,
    "write_exports": 10,
    "forget_places": 3600,
    "ask_recipients": 900,
    "score_pickups": 86_400,
    "close_periods": 3600,
    "seal_books": 30,
    "check_payouts": 60,
}  # seconds
CELERY_BEAT_SCHEDULE = {
    name: {
        "task": f"pickup.tasks.{name}",
        "kwargs": {"periodic": True},
        # A job of a day is rung for each hour: who rings late, or not at first, finds the day still free.
        "schedule": schedule(run_every=min(seconds, 3600)),
        "options": {"expires": max(min(seconds, 3600), 30)},
    }
    for name, seconds in SWEEPS.items()
}

# The network's own settings.
# Where payouts are sent when no person takes the file to the bank: an address that takes a POST, with its bearer token.
BANK_URL = os.environ.get("PICKUP_BANK", "")
BANK_TOKEN = os.environ.get("PICKUP_BANK_TOKEN", SECRETS.get("bank_token", ""))
EXPORTS_DIR = PICKUP_HOME / "exports"  # files that wait for the person who asked for them
EXPORT_DAYS = int(os.environ.get("PICKUP_EXPORT_DAYS", "7"))  # so long they wait
EXPORT_AT_ONCE = 5_000  # rows up to which a list is written while one waits
# So many of all pickups are asked about, and so many at shops that are new or in question (PROMISES: random audits).
ASK_SHARE = float(os.environ.get("PICKUP_ASK_SHARE", "0.02"))
ASK_SHARE_DOUBTFUL = float(os.environ.get("PICKUP_ASK_SHARE_DOUBTFUL", "0.2"))
PERSONAL_READS_PER_HOUR = 60  # so often one person may read a recipient's full data
COUNTRY = os.environ.get("PICKUP_COUNTRY", "CN")  # phone numbers without a country code are read as this country's
NOTICES_FILE = os.environ.get("NOTICES_FILE", "")  # notices are appended here as JSON lines instead of being sent
# So many sign-in codes leave the network in a day at most: somebody who pumps messages cannot spend more than that.
SIGN_IN_CODES_PER_DAY = int(os.environ.get("PICKUP_SIGN_IN_CODES_PER_DAY", "5000"))
# So long a counter waits for an answer before it decides alone, with the stock that it holds.
COUNTER_PATIENCE_MS = int(os.environ.get("PICKUP_COUNTER_PATIENCE_MS", "1500"))
# So long orders that a sweep took up are left alone: longer than the geocoders need for 500 of them.
ORDER_LEASE_S = int(os.environ.get("PICKUP_ORDER_LEASE_S", "60"))
MAX_ACCURACY_M = 5_000.0  # a location less certain than this never chooses a point (R2); see docs/decisions
# Geocoders to ask for what the names in a text do not tell, in their order, and their keys: see network/geocoders.py.
GEOCODERS = os.environ.get("PICKUP_GEOCODERS", "")
GEOCODER_KEYS = {
    **SECRETS.get("geocoders", {}),
    **{
        name.removeprefix("PICKUP_GEOCODER_KEY_").lower().replace("_", ".", 1): value
        for name, value in os.environ.items()
        if name.startswith("PICKUP_GEOCODER_KEY_")
    },
}
GEOCODER_USER_AGENT = f"pickup-network/0.1 (+{BASE_URL})"
GEOCODER_BUDGET_S = 15.0  # so long one sweep goes on asking; an order's lease must outlast it
GEOCODER_PAUSE_S = 20  # after it, orders that could not be asked for are taken up again
# So long an order waits for geocoders that are down; then the names in its text alone decide, or a person.
GEOCODER_PATIENCE_S = int(os.environ.get("PICKUP_GEOCODER_PATIENCE_S", "1800"))
# A map to lie under our own boundaries, which need none: the address of raster tiles with {z}, {x} and {y}, or of a
# MapLibre style (ends in .json). The browser asks that host, and no other; what it wants named stands on the map.
MAP_TILES = os.environ.get("PICKUP_TILES", "")
MAP_CREDIT = os.environ.get("PICKUP_TILES_CREDIT", "")

# Messages to people's phones: see network/messages.py for what SMS_GATEWAY may be; NOTICES_FILE wins over it.
SMS_GATEWAY = os.environ.get("PICKUP_SMS", "")
SMS_KEY_ID = os.environ.get("PICKUP_SMS_KEY_ID", SECRETS.get("sms", {}).get("key_id", ""))
SMS_KEY_SECRET = os.environ.get("PICKUP_SMS_KEY_SECRET", SECRETS.get("sms", {}).get("key_secret", ""))
SMS_TEMPLATES = os.environ.get("PICKUP_SMS_TEMPLATES", "")  # ready=SMS_1:point,tail,code,until,link;ready.en=…
SMS_ENDPOINT = os.environ.get("PICKUP_SMS_ENDPOINT", "")  # another address of the provider's; empty: its usual one
SMS_ALLOW_LOCAL = os.environ.get("PICKUP_SMS_ALLOW_LOCAL") == "1"  # plain http, and addresses that are not global
SMS_COUNTRIES = os.environ.get("PICKUP_SMS_COUNTRIES", COUNTRY).split(",")  # to numbers elsewhere nothing is sent
SMS_PER_DAY = int(os.environ.get("PICKUP_SMS_PER_DAY", "20000"))  # notices of the whole network
SMS_PER_PARCEL_AND_DAY = 3  # these two hold back what is asked for again, and count what was sent by itself too
SMS_PER_NUMBER_AND_DAY = 5

# A web map, beside the geo: link that only phones understand: {lat}, {lon} in MAP_DATUM, {name} of the shop.
MAP_URL = os.environ.get(
    "PICKUP_MAP_URL",
    "https://uri.amap.com/marker?position={lon},{lat}&name={name}&coordinate=gaode&callnative=1"
    if COUNTRY == "CN"
    else "https://www.openstreetmap.org/?mlat={lat}&mlon={lon}#map=17/{lat}/{lon}",
)
MAP_DATUM = os.environ.get("PICKUP_MAP_DATUM", "gcj02" if "amap.com" in MAP_URL else "wgs84")


def hide_links(record: logging.LogRecord) -> bool:
    """Whoever reads a log must learn neither a recipient's page or phone that was searched for, nor pair a device."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            re.sub(r"([?&]q=)[^&\s]+", r"\1…", re.sub(r"/(t|pair)/[^\s?]+", r"/\1/…", arg))
            if isinstance(arg, str)
            else arg
            for arg in record.args
        )
    return True


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"links": {"()": "django.utils.log.CallbackFilter", "callback": hide_links}},
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain", "filters": ["links"]}},
    "root": {"handlers": ["console"], "level": os.environ.get("PICKUP_LOG_LEVEL", "INFO")},
}
