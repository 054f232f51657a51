"""Short messages to people's phones. Whoever sends one asks `gateway()`; what carries it is one setting.

SMS_GATEWAY is empty or `console`, `file:PATH`, `webhook:https://…`, `aliyun:SIGN`, `tencent:APP:SIGN`. Keys come from
the secrets (SMS_KEY_ID, SMS_KEY_SECRET) and are never logged, nor is anything of a message: errors carry the answer's
code at most.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit
from uuid import uuid4

import phonenumbers
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.timezone import now

from network import wire

TIMEOUT_S = 5.0  # for a step
TOTAL_S = 10.0  # for all of it, however slowly an answer drips
ANSWER_BYTES = 64 * 1024
GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_7_TWICE = frozenset("^{}\\[~]|€")  # of the extension table: two septets each


class NotSent(Exception):
    """The gateway did not take the message; it may be tried again later."""


@dataclass(frozen=True)
class Message:
    """What leaves the network for one phone (E.164). `text` holds all that a person needs; the other fields are for
    gateways that fill in a template of their own, and for tests: `token` is a QR's text, `code` digits to type.

    `values` are the template's variables by name. `key` is the same when the same message is sent once more, so that
    a receiver can drop the second.
    """

    kind: str
    phone: str
    text: str
    reference: str = ""
    barcode: str = ""
    url: str = ""
    token: str = ""
    code: str = ""
    language: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    key: str = field(default_factory=lambda: uuid4().hex)


class Gateway(Protocol):
    def send(self, message: Message) -> None:
        """Hand the message over, or raise NotSent."""


def parts(text: str) -> int:
    """Return how many short messages a text is paid as (GSM 03.38): 160 or 70 characters, less where it is split."""
    if all(letter in GSM_7 or letter in GSM_7_TWICE for letter in text):
        length, alone, split = sum(2 if letter in GSM_7_TWICE else 1 for letter in text), 160, 153
    else:
        length, alone, split = len(text.encode("utf-16-be")) // 2, 70, 67
    return 1 if length <= alone else -(-length // split)


def is_allowed(phone: str) -> bool:
    """Whether a number (E.164) lies in a country that messages are sent to; elsewhere they cost, and pay a fraud."""
    try:
        country = phonenumbers.region_code_for_number(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        return False
    return country in settings.SMS_COUNTRIES


class FileGateway:
    """Appends each message as one JSON line, in one write, so that several workers may share the file."""

    FIELDS = ("kind", "reference", "barcode", "phone", "text", "url", "token", "code")

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def send(self, message: Message) -> None:
        line = json.dumps({name: getattr(message, name) for name in self.FIELDS}, ensure_ascii=False) + "\n"
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            raise NotSent(str(error)) from error


class ConsoleGateway:
    """For development: the terminal is the phone. It writes past the log, which must hold no codes."""

    def send(self, message: Message) -> None:
        sys.stdout.write(f"SMS {message.phone} {message.kind}: {message.text}\n")
        sys.stdout.flush()


class WebhookGateway:
    """Posts each message to a system of the operator's, signed as the Standard Webhooks describe.

    The signature is HMAC-SHA256 over `id.timestamp.body`, in base64 after `v1,`; `webhook-id` stays the same when a
    message is sent once more.
    """

    def __init__(self, url: str, secret: str) -> None:
        self.url = url
        self.secret = base64.b64decode(secret.removeprefix("whsec_"))

    def send(self, message: Message) -> None:
        moment = now()
        body = json.dumps(
            {
                "type": "message.send",
                "timestamp": moment.isoformat(),
                "data": {
                    "kind": message.kind,
                    "phone": message.phone,
                    "text": message.text,
                    "language": message.language,
                    "values": dict(message.values),
                },
            },
            ensure_ascii=False,
        ).encode()
        timestamp = str(int(moment.timestamp()))
        signed = f"{message.key}.{timestamp}.".encode() + body
        headers = {
            "content-type": "application/json",
            "webhook-id": message.key,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{base64.b64encode(hmac.digest(self.secret, signed, 'sha256')).decode()}",
        }
        status, _ = post(self.url, body, headers)
        if not 200 <= status < 300:
            raise NotSent(f"the webhook answered {status}")


@dataclass(frozen=True)
class Template:
    """A text that a provider approved: its id there, and the names of its variables in their order."""

    id: str
    names: Sequence[str]


def read_templates(text: str) -> dict[str, Template]:
    """Read `ready=SMS_1:point,code,until,link;ready.en=SMS_2:…`: a kind, or a kind in one language."""
    templates = {}
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        kind, found, rest = entry.partition("=")
        template, _, names = rest.partition(":")
        if not kind.strip() or not found or not template:
            raise ImproperlyConfigured(f"SMS_TEMPLATES: {entry!r} is not kind=ID:names")
        templates[kind.strip()] = Template(
            template.strip(), [name.strip() for name in names.split(",") if name.strip()]
        )
    return templates


def filled(message: Message, templates: Mapping[str, Template]) -> tuple[str, list[tuple[str, str]]]:
    """Return the template's id for a message and its variables in order. Raises NotSent."""
    template = templates.get(f"{message.kind}.{message.language}") or templates.get(message.kind)
    if template is None:
        raise NotSent(f"no template for {message.kind}")
    values = {"code": message.code, "barcode": message.barcode, "url": message.url, **message.values}
    missing = [name for name in template.names if name not in values]
    if missing:
        raise NotSent(f"the template of {message.kind} wants {', '.join(missing)}")
    return template.id, [(name, values[name]) for name in template.names]


class AliyunGateway:
    """Aliyun's SendSms (2017-05-25), signed with ACS3-HMAC-SHA256."""

    def __init__(
        self, *, sign: str, key_id: str, key_secret: str, templates: Mapping[str, Template], endpoint: str = ""
    ) -> None:
        self.sign, self.key_id, self.key_secret, self.templates = sign, key_id, key_secret, templates
        self.endpoint = endpoint or "https://dysmsapi.aliyuncs.com"

    def send(self, message: Message) -> None:
        template, values = filled(message, self.templates)
        # A number at home is written without its country code, one abroad with it but without the plus.
        phone = message.phone.removeprefix("+86").removeprefix("+")
        query = {
            "PhoneNumbers": phone,
            "SignName": self.sign,
            "TemplateCode": template,
            "TemplateParam": json.dumps(dict(values), ensure_ascii=False),
            "OutId": message.key,
        }
        written = "&".join(f"{_quoted(name)}={_quoted(query[name])}" for name in sorted(query))
        headers = aliyun_headers(
            host=urlsplit(self.endpoint).netloc,
            action="SendSms",
            version="2017-05-25",
            query=written,
            key_id=self.key_id,
            key_secret=self.key_secret,
            at=now(),
            nonce=uuid4().hex,
        )
        status, answer = post(f"{self.endpoint}/?{written}", b"", headers)
        code = _object(answer).get("Code")
        if code != "OK":
            raise NotSent(f"Aliyun answered {status} {_short(code)}")


def aliyun_headers(
    *, host: str, action: str, version: str, query: str, key_id: str, key_secret: str, at: datetime, nonce: str
) -> dict[str, str]:
    """Return the headers of a POST without a body, signed as Aliyun's "V3 request body & signature" describes."""
    empty = hashlib.sha256(b"").hexdigest()
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-content-sha256": empty,
        "x-acs-date": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "x-acs-signature-nonce": nonce,
        "x-acs-version": version,
    }
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = f"POST\n/\n{query}\n{lines}\n{names}\n{empty}"
    to_sign = f"ACS3-HMAC-SHA256\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.digest(key_secret.encode(), to_sign.encode(), "sha256").hex()
    authorization = f"ACS3-HMAC-SHA256 Credential={key_id},SignedHeaders={names},Signature={signature}"
    return headers | {"authorization": authorization}


class TencentGateway:
    """Tencent Cloud's SendSms (2021-01-11), signed with TC3-HMAC-SHA256."""

    def __init__(
        self,
        *,
        app: str,
        sign: str,
        key_id: str,
        key_secret: str,
        templates: Mapping[str, Template],
        endpoint: str = "",
        region: str = "ap-guangzhou",
    ) -> None:
        self.app, self.sign, self.region = app, sign, region
        self.key_id, self.key_secret, self.templates = key_id, key_secret, templates
        self.endpoint = endpoint or "https://sms.tencentcloudapi.com"

    def send(self, message: Message) -> None:
        template, values = filled(message, self.templates)
        body = json.dumps(
            {
                "PhoneNumberSet": [message.phone],
                "SmsSdkAppId": self.app,
                "SignName": self.sign,
                "TemplateId": template,
                "TemplateParamSet": [value for _, value in values],
                "SessionContext": message.key,
            },
            ensure_ascii=False,
        ).encode()
        headers = tencent_headers(
            host=urlsplit(self.endpoint).netloc,
            service="sms",
            action="SendSms",
            version="2021-01-11",
            region=self.region,
            body=body,
            key_id=self.key_id,
            key_secret=self.key_secret,
            at=now(),
        )
        status, answer = post(f"{self.endpoint}/", body, headers)
        response = _object(_object(answer).get("Response"))
        sent = response.get("SendStatusSet")
        code = _object(sent[0]).get("Code") if isinstance(sent, list) and sent else None
        if code != "Ok":
            raise NotSent(f"Tencent answered {status} {_short(code or _object(response.get('Error')).get('Code'))}")


def tencent_headers(
    *,
    host: str,
    service: str,
    action: str,
    version: str,
    region: str,
    body: bytes,
    key_id: str,
    key_secret: str,
    at: datetime,
) -> dict[str, str]:
    """Return the headers of a JSON POST, signed as Tencent's "Signature algorithm v3" describes."""
    timestamp, day = str(int(at.timestamp())), f"{at.astimezone(UTC):%Y-%m-%d}"
    content = "application/json; charset=utf-8"
    names = "content-type;host;x-tc-action"
    lines = f"content-type:{content}\nhost:{host}\nx-tc-action:{action.lower()}\n"
    request = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{day}/{service}/tc3_request"
    to_sign = f"TC3-HMAC-SHA256\n{timestamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"TC3{key_secret}".encode()
    for step in (day, service, "tc3_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    return {
        "authorization": f"TC3-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}",
        "content-type": content,
        "host": host,
        "x-tc-action": action,
        "x-tc-region": region,
        "x-tc-timestamp": timestamp,
        "x-tc-version": version,
    }


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


def _object(value: object) -> dict[str, Any]:
    """What should be a JSON object: text or an already read value; anything else counts as an empty one."""
    if isinstance(value, bytes):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _short(code: object) -> str:
    """An error code of a provider, which a row and a log may hold; its message might repeat the phone."""
    text = str(code)[:60]
    return text if text.isascii() and text.replace(".", "").replace("_", "").isalnum() else "without a code"


def post(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """Post once, follow nothing, and return the status and at most 64 kB. Raises NotSent.

    SMS_ALLOW_LOCAL is for a gateway that stands beside the server.
    """
    try:
        answer = wire.exchange(
            "POST",
            url,
            body,
            headers,
            step_s=TIMEOUT_S,
            total_s=TOTAL_S,
            most_bytes=ANSWER_BYTES,
            allow_local=settings.SMS_ALLOW_LOCAL,
        )
    except wire.NotAllowed as error:
        raise NotSent(str(error)) from error
    except (OSError, http.client.HTTPException) as error:
        raise NotSent(f"no answer: {type(error).__name__}") from error
    return answer.status, answer.body


def _webhook(url: str) -> Gateway:
    return WebhookGateway(url, _key("SMS_KEY_SECRET"))


def _aliyun(sign: str) -> Gateway:
    return AliyunGateway(
        sign=sign,
        key_id=_key("SMS_KEY_ID"),
        key_secret=_key("SMS_KEY_SECRET"),
        templates=read_templates(settings.SMS_TEMPLATES),
        endpoint=settings.SMS_ENDPOINT,
    )


def _tencent(app_and_sign: str) -> Gateway:
    app, _, sign = app_and_sign.partition(":")
    return TencentGateway(
        app=app,
        sign=sign,
        key_id=_key("SMS_KEY_ID"),
        key_secret=_key("SMS_KEY_SECRET"),
        templates=read_templates(settings.SMS_TEMPLATES),
        endpoint=settings.SMS_ENDPOINT,
    )


def _key(name: str) -> str:
    value: str = getattr(settings, name)
    if not value:
        raise ImproperlyConfigured(f"{name} is not set, and SMS_GATEWAY needs it")
    return value


GATEWAYS: dict[str, Callable[[str], Gateway]] = {
    "console": lambda _: ConsoleGateway(),
    "file": FileGateway,
    "webhook": _webhook,
    "aliyun": _aliyun,
    "tencent": _tencent,
}


def gateway() -> Gateway | None:
    """The configured gateway; without one notices wait as rows, and nothing of them is lost or logged.

    NOTICES_FILE wins over everything else. Raises ImproperlyConfigured for a gateway that nobody knows.
    """
    if settings.NOTICES_FILE:
        return FileGateway(settings.NOTICES_FILE)
    name, _, rest = settings.SMS_GATEWAY.partition(":")
    if not name:
        return None
    if name not in GATEWAYS:
        raise ImproperlyConfigured(f"SMS_GATEWAY: {name!r} is none of {', '.join(GATEWAYS)}")
    return GATEWAYS[name](rest)
