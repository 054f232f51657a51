"""Fetch again what stands in the lists vendor.toml, with `npm pack`, and write the hashes: `python -m tests.vendor`.

To change a version: edit version and path in the list, run this, look at what changed, and name the new path where it
is used.
"""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import tarfile
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def packed(name: str, version: str) -> tarfile.TarFile:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, check=True, capture_output=True)
        [archive] = Path(folder).glob("*.tgz")
        return tarfile.open(fileobj=io.BytesIO(archive.read_bytes()))


def refresh(listing: Path) -> None:
    text = listing.read_text()
    for entry in tomllib.loads(text)["file"]:
        if not entry["from"]:
            continue  # a licence that the package names and does not bring: copied by hand
        with packed(entry["name"], entry["version"]) as archive:
            member = archive.extractfile(f"package/{entry['from']}")
            if member is None:
                raise SystemExit(f"{entry['name']} has no {entry['from']}")
            content = member.read()
        target = listing.parent / entry["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        written = re.escape(f'path = "{entry["path"]}"') + r'\nsha256 = "[0-9a-f]*"'
        digest = hashlib.sha256(content).hexdigest()
        text = re.sub(written, f'path = "{entry["path"]}"\nsha256 = "{digest}"', text)
    listing.write_text(text)


if __name__ == "__main__":
    for listing in sorted(ROOT.glob("*/static/vendor/vendor.toml")):
        refresh(listing)
