"""Messages to phones: what each gateway sends, how it is signed, and that it reaches nobody it should not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from time import sleep
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.core.exceptions import ImproperlyConfigured

from network import messages
from network.messages import Message, NotSent

PHONE, CODE = "+8613800138000", "12345678"
KEY_ID, KEY_SECRET = "AKID-test", "a secret of the provider"


class Request(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class Provider:
    """A provider of our own, which keeps what it gets and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[Request] = []
        self.status, self.answer, self.headers = 200, "{}", {"content-type": "application/json"}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                lower = {name.lower(): value for name, value in self.headers.items()}
                provider.got.append(Request(self.path, lower, body))
                self.send_response(provider.status)
                for name, value in provider.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(provider.answer.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    provider = Provider()
    settings.NOTICES_FILE, settings.SMS_ALLOW_LOCAL, settings.SMS_ENDPOINT = "", True, provider.url
    settings.SMS_KEY_ID, settings.SMS_KEY_SECRET = KEY_ID, KEY_SECRET
    settings.SMS_TEMPLATES = "ready=SMS_1:point,code;ready.en=SMS_2:point,code,until"
    yield provider
    provider.close()


def message(**fields: Any) -> Message:
    values = {"point": "好邻居 & Söhne", "until": "11-28 18:00"}
    defaults: dict[str, Any] = {"kind": "ready", "phone": PHONE, "text": f"Code {CODE}", "code": CODE, "values": values}
    return Message(**(defaults | fields))


def send(setting: str, settings: Any, **fields: Any) -> None:
    settings.SMS_GATEWAY = setting
    way = messages.gateway()
    assert way is not None
    way.send(message(**fields))


def test_without_a_setting_there_is_no_gateway(settings: Any) -> None:
    settings.NOTICES_FILE, settings.SMS_GATEWAY = "", ""
    assert messages.gateway() is None


def test_a_gateway_nobody_knows_is_refused(settings: Any) -> None:
    settings.NOTICES_FILE, settings.SMS_GATEWAY = "", "pigeon:grey"
    with pytest.raises(ImproperlyConfigured, match="pigeon"):
        messages.gateway()


@pytest.mark.parametrize("setting", ["webhook:https://sms.example/", "aliyun:Sign", "tencent:14000:Sign"])
def test_a_gateway_without_its_key_is_refused(settings: Any, setting: str) -> None:
    settings.NOTICES_FILE, settings.SMS_GATEWAY, settings.SMS_KEY_ID, settings.SMS_KEY_SECRET = "", setting, "", ""
    with pytest.raises(ImproperlyConfigured, match="SMS_KEY"):
        messages.gateway()


def test_the_file_wins_and_has_the_fields_of_the_contract(settings: Any, tmp_path: Path) -> None:
    settings.NOTICES_FILE = str(tmp_path / "notices")
    send("pigeon:grey", settings)
    (line,) = (tmp_path / "notices").read_text().splitlines()
    assert set(json.loads(line)) == {"kind", "reference", "barcode", "phone", "text", "url", "token", "code"}


def test_a_file_may_also_be_the_gateway(settings: Any, tmp_path: Path) -> None:
    settings.NOTICES_FILE = ""
    send(f"file:{tmp_path / 'sms'}", settings)
    assert json.loads((tmp_path / "sms").read_text())["phone"] == PHONE


def test_the_console_is_the_phone_and_the_log_stays_silent(
    settings: Any, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    settings.NOTICES_FILE = ""
    send("console", settings)
    assert CODE in capsys.readouterr().out
    assert caplog.text == ""


def test_a_webhook_is_signed_as_the_standard_says(settings: Any, provider: Provider) -> None:
    settings.SMS_KEY_SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
    send(f"webhook:{provider.url}/sms", settings, key="notice-7", language="zh-hans")
    (got,) = provider.got
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    expected = base64.b64encode(hmac.new(b"k" * 24, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"
    assert (got.path, got.headers["webhook-id"]) == ("/sms", "notice-7")
    told = json.loads(got.body)
    assert told["type"] == "message.send"
    assert told["data"]["phone"] == PHONE
    assert told["data"]["text"] == f"Code {CODE}"


@pytest.mark.parametrize("status", [301, 400, 403, 500])
def test_a_webhook_that_does_not_take_it_is_tried_again_and_followed_nowhere(
    settings: Any, provider: Provider, status: int
) -> None:
    settings.SMS_KEY_SECRET = base64.b64encode(b"k" * 24).decode()
    provider.status, provider.headers = status, {"location": f"{provider.url}/elsewhere"}
    with pytest.raises(NotSent, match=str(status)):
        send(f"webhook:{provider.url}/sms", settings)
    assert len(provider.got) == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://sms.example/", "only https"),
        ("ftp://sms.example/", "only https"),
        ("https:///path", "only https"),
        ("https://127.0.0.1/", "global"),
        ("https://[::1]/", "global"),
        ("https://10.1.2.3/", "global"),
        ("https://169.254.169.254/latest", "global"),
        ("https://[::ffff:10.0.0.1]/", "global"),
        ("https://0.0.0.0/", "global"),
    ],
)
def test_nothing_is_posted_into_our_own_network(settings: Any, url: str, words: str) -> None:
    settings.SMS_ALLOW_LOCAL = False
    with pytest.raises(NotSent, match=words):
        messages.post(url, b"", {})


def test_a_name_with_one_inner_address_is_refused(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SMS_ALLOW_LOCAL = False
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(NotSent, match="global"):
        messages.post("https://sms.example/", b"", {})


def test_a_name_is_looked_up_once_and_that_address_is_used(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SMS_ALLOW_LOCAL = False
    looked_up: list[str] = []
    connected: list[Any] = []

    def getaddrinfo(host: str, *_: Any, **__: Any) -> list[Any]:
        looked_up.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 443))]

    def connect(address: Any, **_: Any) -> Any:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(NotSent, match="ConnectionRefusedError"):
        messages.post("https://sms.example/", b"", {})
    assert (looked_up, connected) == (["sms.example"], [("8.8.8.8", 443)])


def test_an_answer_that_drips_for_ever_is_cut_off(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SMS_ALLOW_LOCAL = True
    monkeypatch.setattr(messages, "TOTAL_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connected, _ = server.accept()
            with connected, suppress(OSError):
                connected.sendall(b"HTTP/1.1 200 OK\r\n")
                while True:  # each byte comes well within the timeout of a step
                    connected.sendall(b"x")
                    sleep(0.02)

        dripping = threading.Thread(target=drip)
        dripping.start()
        with pytest.raises(NotSent):
            messages.post(f"http://127.0.0.1:{server.getsockname()[1]}/", b"", {})
        dripping.join(timeout=30)
        assert not dripping.is_alive()


def test_an_answer_without_an_end_is_read_no_further_than_it_may(settings: Any, provider: Provider) -> None:
    provider.answer = "x" * (messages.ANSWER_BYTES * 2)
    assert messages.post(provider.url, b"", {}) == (200, b"x" * messages.ANSWER_BYTES)


def test_a_provider_that_is_down_is_tried_again(settings: Any, provider: Provider) -> None:
    provider.close()
    with pytest.raises(NotSent):
        send("tencent:1400000:Sign", settings)


def acs3_signature(request: Request) -> str:
    """Aliyun's V3 signature over what arrived, worked out from its description and from nothing of ours."""
    target = urlsplit(request.path)
    names = request.headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    canonical = "\n".join(
        [
            "POST",
            target.path,
            target.query,
            *(f"{name}:{request.headers[name].strip()}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(request.body).hexdigest(),
        ]
    )
    to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
    return hmac.new(KEY_SECRET.encode(), to_sign.encode(), hashlib.sha256).hexdigest()


def test_aliyun_gets_a_signed_template_with_its_variables(settings: Any, provider: Provider) -> None:
    provider.answer = json.dumps({"Code": "OK", "Message": "OK"})
    send("aliyun:自提网络", settings)
    (got,) = provider.got
    assert f"Credential={KEY_ID}," in got.headers["authorization"]
    assert got.headers["authorization"].endswith(f"Signature={acs3_signature(got)}")
    assert {"host", "x-acs-action", "x-acs-date", "x-acs-signature-nonce"} <= set(
        got.headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    )
    query = dict(parse_qsl(urlsplit(got.path).query))
    assert (query["PhoneNumbers"], query["SignName"], query["TemplateCode"]) == ("13800138000", "自提网络", "SMS_1")
    assert json.loads(query["TemplateParam"]) == {"point": "好邻居 & Söhne", "code": CODE}


def test_aliyuns_signature_equals_the_one_in_its_documentation() -> None:
    headers = messages.aliyun_headers(
        host="ecs.cn-shanghai.aliyuncs.com",
        action="RunInstances",
        version="2014-05-26",
        query="ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai",
        key_id="YourAccessKeyId",
        key_secret="YourAccessKeySecret",
        at=datetime(2023, 10, 26, 10, 22, 32, tzinfo=UTC),
        nonce="3156853299f313e23d1673dc12e1703d",
    )
    assert headers["authorization"].endswith("06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0")


def test_aliyun_writes_numbers_abroad_with_their_country(settings: Any, provider: Provider) -> None:
    provider.answer = json.dumps({"Code": "OK"})
    send("aliyun:Sign", settings, phone="+4915112345678")
    assert dict(parse_qsl(urlsplit(provider.got[0].path).query))["PhoneNumbers"] == "4915112345678"


def tc3_signature(request: Request) -> str:
    """Tencent's signature over what arrived, worked out from its description and from nothing of ours."""
    day = datetime.fromtimestamp(int(request.headers["x-tc-timestamp"]), UTC).strftime("%Y-%m-%d")
    canonical = "\n".join(
        [
            *("POST", "/", ""),
            f"content-type:{request.headers['content-type']}",
            f"host:{request.headers['host']}",
            f"x-tc-action:{request.headers['x-tc-action'].lower()}",
            *("", "content-type;host;x-tc-action"),
            hashlib.sha256(request.body).hexdigest(),
        ]
    )
    key = ("TC3" + KEY_SECRET).encode()
    for part in (day, "sms", "tc3_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join(["TC3-HMAC-SHA256", request.headers["x-tc-timestamp"], f"{day}/sms/tc3_request", hashed])
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


def test_tencent_gets_a_signed_template_with_its_values_in_order(settings: Any, provider: Provider) -> None:
    provider.answer = json.dumps({"Response": {"SendStatusSet": [{"Code": "Ok"}]}})
    send("tencent:1400000:自提网络", settings, language="en")
    (got,) = provider.got
    assert got.headers["authorization"].endswith(f"Signature={tc3_signature(got)}")
    told = json.loads(got.body)
    assert (told["PhoneNumberSet"], told["SmsSdkAppId"], told["SignName"]) == ([PHONE], "1400000", "自提网络")
    assert (told["TemplateId"], told["TemplateParamSet"]) == ("SMS_2", ["好邻居 & Söhne", CODE, "11-28 18:00"])


def test_tencents_signature_equals_the_one_in_its_documentation() -> None:
    headers = messages.tencent_headers(
        host="cvm.tencentcloudapi.com",
        service="cvm",
        action="DescribeInstances",
        version="2017-03-12",
        region="ap-guangzhou",
        body=rb'{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}',
        key_id="AKIDz8krbsJ5yKBZQpn74WFkmLPx3*******",
        key_secret="Gu5t9xGARNpq86cd98joQYCN3*******",
        at=datetime.fromtimestamp(1551113065, UTC),
    )
    assert headers["authorization"].endswith("be4f67d323c78ab9acb7395e43c0dbcf822a9cfac32fea2449a7bc7726b770a3")


@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        ("aliyun:Sign", json.dumps({"Code": "isv.BUSINESS_LIMIT_CONTROL", "Message": f"{PHONE} too often"})),
        ("aliyun:Sign", json.dumps({"Code": f"{PHONE} {CODE}"})),
        ("aliyun:Sign", "not json"),
        ("aliyun:Sign", "[]"),
        ("tencent:1:Sign", json.dumps({"Response": {"Error": {"Code": "AuthFailure.SecretIdNotFound"}}})),
        ("tencent:1:Sign", json.dumps({"Response": {"SendStatusSet": [{"Code": "LimitExceeded", "Message": PHONE}]}})),
        ("tencent:1:Sign", json.dumps({"Response": {"SendStatusSet": []}})),
        ("tencent:1:Sign", "{}"),
    ],
)
def test_a_refusal_is_told_by_its_code_and_without_phone_code_or_key(
    settings: Any, provider: Provider, setting: str, answer: str
) -> None:
    provider.answer = answer
    with pytest.raises(NotSent) as refused:
        send(setting, settings)
    for secret in (PHONE, CODE, KEY_SECRET):
        assert secret not in str(refused.value)


def test_no_gateway_logs_a_phone_a_code_or_a_key(
    settings: Any, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        for setting in ("aliyun:Sign", "tencent:1:Sign"):
            with pytest.raises(NotSent):
                send(setting, settings)
    for secret in (PHONE, "13800138000", CODE, KEY_SECRET):
        assert secret not in caplog.text


@pytest.mark.parametrize("kind", ["expired", "sign-in"])
def test_a_kind_without_a_template_is_not_sent(settings: Any, provider: Provider, kind: str) -> None:
    with pytest.raises(NotSent, match="no template"):
        send("aliyun:Sign", settings, kind=kind)
    assert provider.got == []


def test_a_template_that_wants_what_a_message_has_not_is_not_sent(settings: Any, provider: Provider) -> None:
    settings.SMS_TEMPLATES = "ready=SMS_1:point,horoscope"
    with pytest.raises(NotSent, match="horoscope"):
        send("tencent:1:Sign", settings)


@pytest.mark.parametrize("text", ["ready", "ready=", "=SMS_1", "ready=SMS_1;reminder"])
def test_templates_nobody_can_read_are_refused(text: str) -> None:
    with pytest.raises(ImproperlyConfigured):
        messages.read_templates(text)


@pytest.mark.parametrize(
    ("countries", "phone", "allowed"),
    [
        (["CN"], "+8613800138000", True),
        (["CN"], "+12025550123", False),
        (["CN"], "+85251234567", False),
        (["CN", "US"], "+12025550123", True),
        (["US"], "+18765551234", False),  # Jamaica shares the code +1
        (["CN"], "rubbish", False),
        (["CN"], "", False),
    ],
)
def test_messages_go_to_the_countries_of_the_list_only(
    settings: Any, countries: list[str], phone: str, allowed: bool
) -> None:
    settings.SMS_COUNTRIES = countries
    assert messages.is_allowed(phone) is allowed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("包" * 70, 1),
        ("包" * 71, 2),
        ("包" * 134, 2),
        ("包" * 135, 3),
        ("a" * 69 + "包", 1),
        ("𝔸" * 36, 2),
    ],
)
def test_a_text_is_paid_in_parts(text: str, expected: int) -> None:
    assert messages.parts(text) == expected
