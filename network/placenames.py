"""The names a region goes by in addresses: official, former, shortened, in Han characters and in Latin letters.

Chinese names end in the kind of the region (深圳市, 南山区), which people leave out (深圳, 南山), shorten
(恩施土家族苗族自治州 to 恩施州) or keep after it changed (双流县, since 2015 双流区). `data/characters_cn.csv` has the
characters of Chinese region names with their reading (from pypinyin, MIT, corrected by hand where a place is read
otherwise: 六安 is Lu'an) and their traditional forms (from OpenCC, Apache 2.0). English names come as aliases.
"""

import csv
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).parent / "data"

PROVINCE, CITY, DISTRICT, CUSTOM = 2, 3, 4, 5

_HAN = re.compile("[\u3400-\u9fff\U00020000-\U0003ffff]")
_PEOPLES = (
    "蒙古族|蒙古|回族|藏族|维吾尔|苗族|彝族|壮族|布依族|朝鲜族|满族|侗族|瑶族|白族|土家族|哈尼族|哈萨克族|哈萨克|傣族|黎族|傈僳族|佤族|"
    "畲族|拉祜族|水族|东乡族|纳西族|景颇族|柯尔克孜|土族|达斡尔族|仫佬族|羌族|布朗族|撒拉族|毛南族|仡佬族|锡伯|塔吉克|怒族|普米族|"
    "鄂温克族|鄂伦春|裕固族|保安族|独龙族|各族"
)
_AUTONOMOUS = re.compile(
    rf"^(?P<stem>(?:..+?)??)(?P<peoples>(?:{_PEOPLES})*)(?:自治(?P<kind>[区州县旗])|(?P<quarter>(?<=族)区))$"
)
_KIND = re.compile(r"(?<=..)(?:特别行政区|地区|新区|林区|特区|[省市区县旗盟])$")
_FULL = re.compile(r"..[省市区县旗盟州]$|[市县]$|^[东南西北中新城郊矿港]区$")
_VAGUE = re.compile("[东南西北中新城郊矿港]区")
_OFFICE = re.compile(r"(?:街道|[镇乡])$")
_LATIN_KINDS = {
    "省": ("sheng", "province"),
    "市": ("shi", "city"),
    "区": ("qu", "district"),
    "县": ("xian", "county"),
    "州": ("zhou", "prefecture"),
    "旗": ("qi", "banner"),
    "盟": ("meng", "league"),
}


class SpokenName(NamedTuple):
    """A name of one region."""

    text: str  # Han characters, or Latin letters as `latin_key` writes them
    doubt: int  # orders the places that share a name: 0 official or former, 1 usual, 2 made by rule
    short: bool = False  # without its kind, so that it may as well be a word of a street's or a shop's name
    needs_parent: int = 0  # understood only where a region around is known that is at most so many levels up


def is_han(text: str) -> bool:
    """Tell whether a name or an address has Chinese characters in it."""
    return _HAN.search(text) is not None


def is_vague(name: str) -> bool:
    """Tell whether a name says nothing without its city: one 西区 there is officially, but many a town has one."""
    return _VAGUE.fullmatch(name) is not None


def latin_key(text: str) -> str:
    """Return letters and digits in lower case without accents, spaces and apostrophes: Xi'an, XI AN → xian."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in letters if letter.isalnum())


def simplified(text: str) -> str:
    """Return the text with traditional characters of region names in their simplified form (臺灣 → 台湾)."""
    return text.translate(_simplified_characters())


class KnownAlias(NamedTuple):
    name: str
    kind: str  # of `RegionAlias.Kind`


@cache
def known_aliases() -> dict[str, tuple[KnownAlias, ...]]:
    """Return, by GB/T 2260 code, names of Chinese regions that are not their official ones today.

    They are districts renamed, raised or merged since about 2010 (崇文区 lies in 东城区), development zones that lie in
    one district, colloquial names (浦东, 内蒙) and English ones (Inner Mongolia). Only where nothing else can be
    meant is a name in the table. A zone's name begins with its city's (苏州高新区).
    """
    aliases = defaultdict(list)
    with (DATA / "aliases_cn.csv").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            aliases[row["code"]].append(KnownAlias(row["alias"], row["kind"]))
    return {code: tuple(names) for code, names in aliases.items()}


def han_names(name: str, aliases: tuple[str, ...], level: int, around: tuple[str, ...]) -> Iterator[SpokenName]:
    """Yield what a region is called in Han characters; `around` are the official names of the regions around it.

    The same text may come twice; a caller keeps the less doubtful.
    """
    custom = int(level >= CUSTOM)
    name = simplified(name)
    if is_han(name):
        # 深圳市粤海街道 leaves out the district; if two in the city have a street of that name, it stays open.
        yield SpokenName(name, doubt=0, needs_parent=2 if custom and _OFFICE.search(name) else custom)
        if not custom:
            yield from _shortened(name, level)
    for alias in map(simplified, filter(is_han, aliases)):
        full = bool(custom) or _FULL.search(alias) is not None
        yield SpokenName(alias, doubt=0 if full else 1, short=not full, needs_parent=custom)
        for region in around:
            # 苏州高新区 and 苏州市高新区 are simply 高新区 where the city is known.
            inner = alias.removeprefix(stem(region))
            if inner != alias and (len(inner) > 2 or is_vague(inner)):
                yield SpokenName(inner, doubt=1, needs_parent=1)
                yield SpokenName(region + inner, doubt=0)


def latin_names(name: str, aliases: tuple[str, ...], level: int) -> Iterator[SpokenName]:
    """Yield what a region is called in letters, each as its `latin_key`; for Chinese regions the pinyin."""
    custom = int(level >= CUSTOM)
    if not is_han(name):
        yield SpokenName(latin_key(name), doubt=0, needs_parent=custom)
    elif not custom:
        yield from _romanised(simplified(name), level)
    for alias in aliases:
        if not is_han(alias):
            yield SpokenName(latin_key(alias), doubt=1, needs_parent=custom)


def stem(name: str) -> str:
    """Return a Chinese name without its kind: 深圳市 → 深圳, 恩施土家族苗族自治州 → 恩施, 赵县 → 赵县."""
    autonomous = _AUTONOMOUS.match(name)
    if autonomous:
        return autonomous["stem"] or autonomous["peoples"].removesuffix("族")
    return _KIND.sub("", name)


def _shortened(name: str, level: int) -> Iterator[SpokenName]:
    short = stem(name)
    if len(short) < 2 or short == name:
        return
    if short.endswith("县"):
        yield SpokenName(short, doubt=1)  # 沙县区 was 沙县
    else:
        yield SpokenName(short, doubt=1 if level == PROVINCE else 2, short=True)
    autonomous = _AUTONOMOUS.match(name)
    if level == PROVINCE and name.endswith("自治区"):
        yield SpokenName(short + "省", doubt=1)
    elif autonomous and level != PROVINCE:
        yield SpokenName(short + (autonomous["kind"] or autonomous["quarter"]), doubt=1)
    elif level == CITY and name.endswith("市"):
        yield SpokenName(short + "地区", doubt=2)
    elif level == DISTRICT and name[-1] in "区市":
        yield SpokenName(short + "县", doubt=2)


def _romanised(name: str, level: int) -> Iterator[SpokenName]:
    short = stem(name)
    letters = _pinyin(short.removesuffix("县") if len(short) == 2 else short)
    if letters is None:
        return
    for kind in _LATIN_KINDS.get(name[-1], ()):
        yield SpokenName(letters + kind, doubt=1)
    if len(letters) > 3 or level < DISTRICT:
        brief = 2 * (level >= DISTRICT and len(letters) == 4)  # Jimo may be many things, Jimo in Shandong is one
        yield SpokenName(letters, doubt=1 if level == PROVINCE else 2, needs_parent=brief)


def _pinyin(name: str) -> str | None:
    """Return the reading of a name without tones, or None if a character of it is not in the table."""
    readings = _pinyin_table()
    if name in readings:
        return readings[name]
    letters = [readings.get(character) for character in name]
    return None if None in letters else "".join(filter(None, letters))


@cache
def _pinyin_table() -> dict[str, str]:
    return {row["han"]: row["pinyin"] for row in _characters()}


@cache
def _simplified_characters() -> dict[int, str]:
    return {ord(form): row["han"] for row in _characters() for form in row["traditional"]}


@cache
def _characters() -> list[dict[str, str]]:
    with (DATA / "characters_cn.csv").open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))
