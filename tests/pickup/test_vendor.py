"""Other people's JavaScript is what its npm package holds, with its licence, and nothing else lies beside it."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

VENDOR = Path(settings.BASE_DIR) / "pickup" / "static" / "vendor"
ENTRIES: list[dict[str, Any]] = tomllib.loads((VENDOR / "vendor.toml").read_text())["file"]
OURS = {"vendor.toml", "refresh.py"}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["path"])
def test_a_vendored_file_has_its_hash(entry: dict[str, Any]) -> None:
    assert hashlib.sha256((VENDOR / entry["path"]).read_bytes()).hexdigest() == entry["sha256"]


def test_nothing_lies_there_that_is_not_listed() -> None:
    there = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()}
    assert {path for path in there if "__pycache__" not in path} == {entry["path"] for entry in ENTRIES} | OURS


def test_every_package_comes_with_its_licence() -> None:
    folders = {entry["path"].split("/")[0] for entry in ENTRIES}
    licensed = {entry["path"].split("/")[0] for entry in ENTRIES if Path(entry["path"]).name.startswith("LICENSE")}
    assert folders == licensed


def test_the_barcode_reader_has_exactly_the_engine_it_was_built_with() -> None:
    versions = {entry["name"]: entry["version"] for entry in ENTRIES}
    ponyfill = (VENDOR / f"barcode-detector-{versions['barcode-detector']}" / "ponyfill.js").read_text()
    assert f"zxing-wasm@{versions['zxing-wasm']}" in ponyfill
    engine = next(entry for entry in ENTRIES if entry["path"].endswith(".wasm"))
    assert engine["sha256"] in ponyfill
