"""Every word that people read exists in Chinese: looked for in the sources, asked of the compiled catalogues."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext, ngettext, pgettext
from django.utils.translation.template import templatize

ROOT = Path(settings.BASE_DIR)
PACKAGES = ("network", "pickup")
ALIKE = {"English", "简体中文"}  # a language's name is written in that language
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[-+.0-9]*[sdf]|\{\w*\}")


class Words(NamedTuple):
    singular: str
    plural: str = ""
    context: str = ""


CALLS = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy"), ("singular",)),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), ("singular", "plural")),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ("context", "singular")),
}


def words_in(source: str) -> Iterator[Words]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            names = CALLS[node.func.id]
            values = [part.value for part in node.args[: len(names)] if isinstance(part, ast.Constant)]
            assert len(values) == len(names), f"line {node.lineno}: only a plain text can be translated"
            yield Words(**dict(zip(names, map(str, values), strict=True)))


def all_words() -> set[Words]:
    """Templates are turned into calls by Django itself, each on its own line."""
    found: set[Words] = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if "migrations" not in path.parts:
                found.update(words_in(path.read_text()))
        for path in (ROOT / package).rglob("*.html"):
            for call in re.findall(
                r"\b(?:gettext|ngettext|pgettext|_)\(.*?\)(?= )", templatize(path.read_text()) + " "
            ):
                found.update(words_in(re.sub(r",\s*count\)$", ", 1)", call)))
    return found


def translated(words: Words) -> str:
    if words.plural:
        return ngettext(words.singular, words.plural, 2)
    return pgettext(words.context, words.singular) if words.context else gettext(words.singular)


def test_the_search_finds_words_of_every_kind() -> None:
    found = all_words()
    assert Words("Sign in") in found  # a template
    assert Words("Done.") in found  # a model
    assert Words("Mo", context="opening hours") in found
    assert any(words.plural and "%(counter)s" in words.plural for words in found)  # a block of a template
    assert any("{barcode}" in words.singular for words in found)  # a notice
    assert len(found) > 300


@pytest.mark.parametrize("words", sorted(all_words()), ids=lambda words: words.singular[:40])
def test_every_text_has_its_chinese_with_the_same_placeholders(words: Words) -> None:
    with translation.override("zh-hans"):
        chinese = translated(words)
    assert chinese != (words.plural or words.singular) or words.singular in ALIKE, "no translation in the .mo file"
    assert sorted(PLACEHOLDER.findall(chinese)) == sorted(PLACEHOLDER.findall(words.singular))
    with translation.override("en"):
        assert translated(words) == (words.plural or words.singular)
