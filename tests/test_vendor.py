"""Foreign files are what their packages brought, byte for byte, and nothing lies beside them unnamed."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
LISTS = sorted(ROOT.glob("*/static/vendor/vendor.toml"))


def files() -> list[Any]:
    return [
        pytest.param(where.parent, entry, id=entry["path"])
        for where in LISTS
        for entry in tomllib.loads(where.read_text())["file"]
    ]


@pytest.mark.parametrize(("folder", "entry"), files())
def test_a_vendored_file_is_what_its_package_brought(folder: Path, entry: dict[str, Any]) -> None:
    assert hashlib.sha256((folder / entry["path"]).read_bytes()).hexdigest() == entry["sha256"]
    assert entry["path"].startswith(f"{entry['name'].removeprefix('@').replace('/', '-')}-{entry['version']}/")


def test_every_file_beside_them_is_named_and_has_its_licence() -> None:
    assert LISTS
    for where in LISTS:
        named = {entry["path"] for entry in tomllib.loads(where.read_text())["file"]}
        lying = {str(path.relative_to(where.parent)) for path in where.parent.rglob("*") if path.is_file()}
        assert lying - {"vendor.toml"} == named
        for folder in {path.split("/")[0] for path in named}:
            assert any(path.lower().startswith(f"{folder.lower()}/licen") for path in named), folder


def test_the_barcode_reader_has_exactly_the_engine_it_was_built_with() -> None:
    entries = {entry["from"]: entry for where in LISTS for entry in tomllib.loads(where.read_text())["file"]}
    reader, engine = entries["dist/iife/ponyfill.js"], entries["dist/reader/zxing_reader.wasm"]
    ponyfill = (ROOT / "pickup" / "static" / "vendor" / reader["path"]).read_text()
    assert f"zxing-wasm@{engine['version']}" in ponyfill
    assert engine["sha256"] in ponyfill
