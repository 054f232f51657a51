"""The offline gazetteer: which region an address text names, by the names of the region tree alone.

A Chinese address names its regions from the largest to the smallest, side by side at its head (广东省深圳市南山区…);
one in Latin letters from the smallest to the largest, between commas (…, Nanshan District, Shenzhen). The gazetteer
takes every name for all the places that bear it and keeps the readings that lie on one line of descent. What stays
open is reported with its candidates: it never guesses.

Full names (南山区) count in that run of names. Short ones (深圳, 南山) are also words in the names of streets, shops
and schools, so that they count by what follows them (`_short_name_holds`). What stands after the first word that is
no region is not believed, since it is as often a landmark or a second address, unless a whole new run begins there.

The rules come from trying real addresses of shops and generated ones of every region of China. A text is read up to
500 characters, in time that grows with its length.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import cached_property, lru_cache
from itertools import islice
from typing import NamedTuple

from network.placenames import (
    SpokenName,
    han_names,
    is_han,
    is_vague,
    latin_key,
    latin_names,
    simplified,
)

MAX_TEXT = 500  # characters; what follows is not read
MAX_CITY = 60
MAX_CANDIDATES = 20
MAX_LATIN_WORDS = 6  # in one name


class Level(IntEnum):
    """The levels of the region tree, from the largest to the smallest."""

    MACRO = 1
    PROVINCE = 2
    CITY = 3
    DISTRICT = 4
    CUSTOM = 5


class Reason(StrEnum):
    """Why a person must look at the text."""

    NO_REGION_NAMED = "no_region_named"
    AMBIGUOUS_NAME = "ambiguous_name"  # several places bear the names
    NAMES_CONFLICT = "names_conflict"  # the places named do not lie in each other
    UNSURE_NAME = "unsure_name"  # named in short or late in the text, perhaps as a part of another name


@dataclass(frozen=True, slots=True)
class Place:
    """A region as the gazetteer needs it. `aliases` are former and other names."""

    id: int
    code: str
    name: str
    level: int
    parent_id: int | None
    aliases: tuple[str, ...] = ()


class Match(NamedTuple):
    """What a text names.

    `place_id` is the deepest place that is certain and `chain` the ids from the root down to it. With a `reason` it
    is only what all `candidates` have in common, often None, and the decision is a person's. Without one, the
    candidates are places inside the place that the text hints at but does not name beyond doubt; `beside` are those of
    them that stand right after the names (深圳福田科技园) and not in some later line.
    """

    place_id: int | None
    chain: tuple[int, ...] = ()
    reason: Reason | None = None
    candidates: tuple[int, ...] = ()
    beside: tuple[int, ...] = ()


class _Reading(NamedTuple):
    """One place a name can stand for, by its number in the gazetteer."""

    place: int
    doubt: int
    needs_parent: int


class _Name(NamedTuple):
    text: str
    short: bool
    binding: bool  # an official name: if it does not fit the rest, the text contradicts itself
    readings: tuple[_Reading, ...]


# What is still open: the number of each place that may be the deepest one named -> the doubts added up.
_Open = dict[int, int]


@dataclass(slots=True)
class _Run:
    """Names of regions read side by side."""

    open: _Open | None  # None: nothing is known yet
    end: int
    full_names: int = 0
    short_names: int = 0
    clash: _Open | None = None  # places of an official name that contradicts `open`
    hints: list[int] = field(default_factory=list)
    beside: list[int] = field(default_factory=list)  # hints that stood right after the names
    said: set[str] = field(default_factory=set)

    @property
    def names(self) -> int:
        return self.full_names + self.short_names


# Text before the first region, and words between regions that name none. GB/T 2260 lists carry the 直辖 phrases.
_LEAD = re.compile(
    r"(?: |中华人民共和国|中国|(?:收货|收件|寄件|送货|详细|联系|所在)?(?:地址|地区)(?= )|\d{6}(?!\d)|[A-Za-z]+(?= ))*"
)
_FILLER = re.compile(r"(?: |市辖区|(?<=[ 市])郊?县|(?:省|自治区)?直辖县级行政(?:区划|单位)|(?:省|自治区)直辖(?!市))+")
_SEPARATORS = re.compile(r"[\W_]+")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2028-\u202e\u2060\ufe00-\ufe0f\ufeff]")  # copied along with a text
_FORMERLY = re.compile(r"[(\[【]原[^)\]】]*[)\]】]")

# What makes the name before it another name: 南京东路, 中山三路, 朝阳门外大街, 南山街道, 中山市场.
_STREET = re.compile(
    r"[东南西北中内外前后左右上下]{0,2}[一二三四五六七八九十\d]{0,3}(?:路|街|巷|弄|胡同|大街|大道|道(?![里外真县孚区江]))|门[内外]"
)
_AFTER_FULL_NAME = re.compile(r"路(?=[ \d]|$)|大道|大街|小吃|(?<=市)场")
_AFTER_FULL_NAME_OF_TWO = re.compile(r"[街巷]|(?:街道|社区|[镇乡村])(?:[ \d]|$|[^县市区]{1,6}[路街道巷号])")
_DISTRICT = re.compile(r"[区县旗]\s*$")
_TOWNSHIP = re.compile(r"街道|社区|[镇乡村屯]")
_FEATURE = re.compile(
    r"[堡苏木河江湖海山门桥寺庙塔站港湾岛滩岭峡泉洞园城店馆]|机场|车站|火车|高铁|大桥|新区|新城|开发区|工业|经济|高新|大学|学院"
)
# A town or street a few characters on makes a town's name the head of an address: 杭州文三路, 昆山玉山镇.
_TAIL = re.compile(
    r"(?!大学|学院|银行|医院|酒店|饭店|小吃|拉面|[新东西南北中]村)[^\d ]{1,3}?[东南西北中]?[一二三四五六七八九十\d]?"
    r"(?:路|街|大道|巷|胡同|镇|乡|村|开发区|新区)"
)
_ADDRESS_WORD = re.compile(r"[区县镇乡村路街道巷弄号]")
_INSTITUTION = re.compile(
    r"大学|学院|银行|大厦|酒店|宾馆|饭店|医院|机场|车站|火车|高铁|商会|会馆|办事处|公司|集团|广场|万达|购物|超市|公园|中学|小学|"
    r"商场|百货|商厦|大楼|城店|拉面|小吃|公寓|花园|小区|保险|证券|银泰|吾悦"
)

_SHOP = re.compile(r"(?<![酒饭书商旅])店 $")

_LATIN_SEGMENTS = re.compile(r"[,;:|/()\[\]\n，；、（）]+")
_LATIN_WORDS = re.compile(r"[^\W_]+(?:['’`.][^\W_]+)*")
_STREET_WORD = re.compile(
    r"(?:road|rd|street|st|avenue|ave|av|lane|ln|boulevard|blvd|highway|hwy|lu|jie|dajie|dadao|xiang|hutong)\b"
)
_LATIN_STREET = re.compile(
    r"(?:(?:east|west|north|south|middle|central|dong|xi|nan|bei|zhong|e|w|n|s|\d\w*) )*" + _STREET_WORD.pattern
)
_LATIN_FILLERS = {"china", "prchina", "peoplesrepublicofchina", "cn", "prc"}
_LATIN_KINDS = {"city", "municipality", "province", "district", "county", "prefecture", "shi", "sheng", "qu"}


class Gazetteer:
    """The names of a region tree, prepared for finding. Building takes some 100 ms for China; keep and share it."""

    def __init__(self, places: Iterable[Place]) -> None:
        """Take the whole tree in any order. A parent that is not among the places is no parent."""
        self._places = list(places)
        number = {place.id: at for at, place in enumerate(self._places)}
        self._lines = [self._line(place, number) for place in self._places]
        self._chains = [tuple(self._places[other].id for other in reversed(line)) for line in self._lines]
        self._same_area = {  # 北京市, the province, is 北京市, the city
            line[1]: line[0]
            for line in self._lines
            if len(line) > 1
            and self._places[line[0]].level == Level.CITY
            and self._places[line[0]].name == self._places[line[1]].name
        }
        parents = {line[1] for line in self._lines if len(line) > 1 and self._places[line[0]].level <= Level.DISTRICT}
        self._deep = {  # 东莞市 is all that an address needs, 深圳市 is not
            at for at, place in enumerate(self._places) if place.level >= Level.CITY and at not in parents
        }
        self._starts = self._han_index()
        self._column = lru_cache(maxsize=4096)(self._read_column)  # orders name few cities again and again

    def find(self, text: str, city: str = "") -> Match:
        """Find the place that `text` names, `city` being what the address has in its column for the city, if any.

        The column may hold any level (昆山市, 广东省深圳市, Shenzhen). What it names need not be said again in the
        text, and what contradicts it is a conflict. A column in which no region is found is ignored.
        """
        column = self._column(city[:MAX_CITY])
        text = text[:MAX_TEXT]
        run = self._read_han(text, column) if is_han(text) else self._read_latin(text, column)
        said = run.said | ({_han_text(city).strip()} if column else set())
        if run.clash is None and len(said) == 1 and is_vague(*said):
            return self._undecided(Reason.UNSURE_NAME, self._best(run.open or {}))
        return self._match(run)

    def written(self, text: str, place_ids: Iterable[int]) -> list[tuple[int, int]]:
        """Return where in the text names of these places and of those around them stand: `(start, end)`, in order.

        It is for people to see what was recognised: the first occurrence of the longest name of each place. A text
        in letters is looked through word by word.
        """
        numbers = {number for number, place in enumerate(self._places) if place.id in set(place_ids)}
        around = {up for number in numbers for up in self._lines[number] if self._places[up].level > Level.MACRO}
        find = _han_spans if is_han(text) else _latin_spans
        spans: list[tuple[int, int]] = []
        for number in sorted(around, key=lambda number: self._places[number].level):
            place = self._places[number]
            if is_han(text):
                names = han_names(place.name, place.aliases, place.level, self._names_around(number))
            else:
                names = latin_names(place.name, place.aliases, place.level)
            spans += find(text, sorted({name.text for name in names}, key=len, reverse=True), spans)
        return sorted(spans)

    # --- Building ---------------------------------------------------------------------------------------------

    def _line(self, place: Place, number: dict[int, int]) -> tuple[int, ...]:
        """Return the numbers of the place and of those around it, the root last."""
        line = [number[place.id]]
        while place.parent_id in number and number[place.parent_id] not in line:
            line.append(number[place.parent_id])
            place = self._places[line[-1]]
        return tuple(line)

    def _han_index(self) -> dict[str, list[_Name]]:
        """Return the names in Han characters by their first two, the longest first."""
        spoken = (
            (number, han_names(place.name, place.aliases, place.level, self._names_around(number)))
            for number, place in self._written_places()
        )
        starts = defaultdict(list)
        for name in sorted(_gathered(spoken), key=lambda name: -len(name.text)):
            starts[name.text[:2]].append(name)
        return dict(starts)

    @cached_property
    def _words(self) -> dict[str, _Name]:
        """The names in letters, made when the first text without Han characters comes."""
        spoken = (
            (number, latin_names(place.name, place.aliases, place.level)) for number, place in self._written_places()
        )
        return {name.text: name for name in _gathered(spoken)}

    def _written_places(self) -> Iterator[tuple[int, Place]]:
        """Yield all but macro-regions: nobody writes 华东 for a place, but it begins the names of schools and firms."""
        return ((number, place) for number, place in enumerate(self._places) if place.level > Level.MACRO)

    def _names_around(self, number: int) -> tuple[str, ...]:
        if not self._places[number].aliases:
            return ()  # only aliases are written with the region around in front
        return tuple(self._places[around].name for around in self._lines[number][1:])

    # --- Reading ----------------------------------------------------------------------------------------------

    def _read_column(self, city: str) -> _Open | None:
        """Read the city column; a name in it means a city rather than anything else of that name."""
        if is_han(city):
            run = self._read_run(_han_text(city), 0, None, lenient=True)
        else:
            run = self._read_latin(city, None)
        if not run.open:
            return None
        if _DISTRICT.search(city):
            return run.open  # 东城区 in 东莞 is as likely as the one in 北京
        return {place: doubt + self._unlike_a_city(place) for place, doubt in run.open.items()}

    def _unlike_a_city(self, number: int) -> int:
        place = self._places[number]
        return (place.level != Level.CITY) + (not place.name.endswith("市")) if is_han(place.name) else 0

    def _read_han(self, text: str, column: _Open | None) -> _Run:
        text = _han_text(text)
        run = self._read_run(text, _past(_LEAD, text, 0), column)
        run.beside = [*run.hints] if run.names else []
        if run.clash is None and not (run.full_names and self._is_deep(run.open)):
            self._read_on(text, run)
        return run

    def _is_deep(self, open_: _Open | None) -> bool:
        return open_ is not None and self._deep.issuperset(open_)

    def _read_run(self, text: str, start: int, open_: _Open | None, *, lenient: bool = False) -> _Run:
        """Read names side by side from `start`; `open_` is what is known before. Stops at the first other word."""
        run = _Run(open_, start)
        while self._take_name(text, _past(_FILLER, text, run.end), run, lenient):
            pass
        return run

    def _take_name(self, text: str, at: int, run: _Run, lenient: bool) -> bool:
        """Take the longest name at `at` that fits into the run; tell whether there was one."""
        hint: tuple[int, _Open] | None = None
        for name in self._names_at(text, at):
            end = at + len(name.text)
            joined = self._join(run.open, name.readings)
            if not name.short and self._is_in_another_name(text, at, end) and not self._name_follows(text, end, joined):
                continue
            if not joined:
                if not name.binding:
                    continue
                run.clash = self._read_run(text, at, None).open
                return False
            if name.short:
                if hint is not None and not self._name_follows(text, end, joined):
                    continue  # 九龙城人民路 names no 九龙
                if not self._short_name_holds(text, end, joined, run.open, lenient):
                    hint = hint or (end, joined)
                    continue  # 香港九龙 is not meant in 香港九龙城区, and 香港 is
                run.short_names += 1
            else:
                run.full_names += 1
                end -= self._shares_its_last_character(text, end, joined)
            run.open, run.end = joined, end
            run.said.add(name.text)
            return True
        if hint is not None:
            self._take_hint(text, at, *hint, run)
        return False

    def _take_hint(self, text: str, start: int, end: int, joined: _Open, run: _Run) -> None:
        """Keep a short name that did not hold as a hint; side by side with a name it tells which place that one is."""
        if _STREET.match(text, end):
            return
        run.hints = self._best(joined)
        if run.names and run.end == start:  # 海南兴海 is in the prefecture of Qinghai, 朝阳凌源 in Liaoning
            around = {place for hint in joined for place in self._lines[hint]}
            run.open = {place: doubt for place, doubt in (run.open or {}).items() if place in around}

    def _names_at(self, text: str, at: int) -> list[_Name]:
        """Return the names that begin at `at`, the longest first."""
        names = self._starts.get(text[at : at + 2])
        return [name for name in names if text.startswith(name.text, at)] if names else []

    def _shares_its_last_character(self, text: str, end: int, open_: _Open) -> bool:
        """乐山市中区 is 乐山 and 市中区, 青岛市南区 is 青岛 and 市南区."""
        return text[end - 1] == "市" and any(
            not name.short and self._join(open_, name.readings) for name in self._names_at(text, end - 1)
        )

    def _short_name_holds(self, text: str, end: int, joined: _Open, before: _Open | None, lenient: bool) -> bool:
        """Tell whether a short name that ends at `end` stands for the region and not in the name of something else.

        It does before another name that fits it (深圳南山区), and alone between separators if it is a town's or if more
        is known (义乌, 国际商贸城). A town's short name also holds inside its own region (广东深圳科技园) and, with
        nothing known, before a street (杭州文三路). A district's does not: 白云机场 and 长安大学 lie elsewhere.
        """
        follows = text[end : end + 12].partition(" ")[0]
        is_town = any(self._is_town(place) for place in joined)
        if not follows:
            return lenient or is_town or before is not None
        if self._name_follows(text, end, joined):
            return True
        if not is_town or _STREET.match(follows) or _TOWNSHIP.match(follows):
            return False
        if before is not None and any(self._places[place].level < Level.DISTRICT for place in joined):
            return True
        if before is not None and not any(place in before for town in joined for place in self._lines[town][:2]):
            return _FEATURE.match(follows) is None  # two levels at once: 江苏昆山
        return _TAIL.match(follows) is not None and not _INSTITUTION.search(follows)

    def _is_in_another_name(self, text: str, start: int, end: int) -> bool:
        """Tell whether a full name is a part of a street's or, if it is as short as 唐县, of a village's."""
        if _AFTER_FULL_NAME.match(text, end):
            return True
        return end - start == 2 and _AFTER_FULL_NAME_OF_TWO.match(text, end) is not None

    def _name_follows(self, text: str, end: int, open_: _Open) -> bool:
        return any(
            self._join(open_, name.readings) and not _STREET.match(text, end + len(name.text))
            for name in self._names_at(text, end)
        )

    def _is_town(self, number: int) -> bool:
        """A province, a city, a county: what people name without its kind, which for a city's district is rarer."""
        place = self._places[number]
        return place.level < Level.DISTRICT or (place.level == Level.DISTRICT and not place.name.endswith("区"))

    def _read_on(self, text: str, run: _Run) -> None:
        """Look behind the first run, which reached no district, for a second one or for hints.

        Two names or more side by side, a full one among them, are believed if the text ends with them (…, 南山区, 深圳)
        or nothing before them reads like an address without its city: a customer's name, a shop's. So is a full name
        after the name of a shop that begins with the city (深圳中心书城店 福田区). Anything else is a hint.
        """
        at = run.end
        hints = dict.fromkeys(run.hints)
        while at < len(text):
            later, name = self._later_run(text, at)
            if later is None or name is None:
                at += 1
                continue
            reads_on = not _ADDRESS_WORD.search(text, 0, at)
            believed = later.names > 1 and (reads_on or not text[later.end :].strip())
            readings = [_Reading(place, doubt, 0) for place, doubt in (later.open or {}).items()]
            joined = self._join(run.open, readings)
            if believed and later.clash is None:
                if not joined:
                    run.clash = later.open
                    return
                if not self._names_a_city(run):
                    run.open, run.hints = joined, later.hints
                    return
            if reads_on and text[at - 1] == " " and later.clash is None:
                in_shops_city = self._in_shops_city(text, at, run, readings)
                if in_shops_city:
                    run.open, run.hints = in_shops_city, later.hints
                    return
            hints.update(dict.fromkeys(self._best(self._join(run.open, name.readings))))
            at = max(later.end, at + 1)
        run.hints = list(hints)

    def _in_shops_city(self, text: str, at: int, run: _Run, readings: list[_Reading]) -> _Open:
        """Join a later name with the city that a shop before it is named after, by a hint or with the column's word."""
        if run.full_names:
            return {}
        if run.open is None:
            return self._join(dict.fromkeys(run.hints, 0), readings)
        return self._join(run.open, readings) if run.names and _SHOP.search(text, 0, at) else {}

    def _later_run(self, text: str, at: int) -> tuple[_Run | None, _Name | None]:
        """Return the run that begins here and its first name: a full one, or a short one after a separator."""
        names = self._names_at(text, at)
        name = next((name for name in names if not name.short), None)
        if name is not None:
            if self._is_in_another_name(text, at, at + len(name.text)):
                return None, None
            return self._read_run(text, at, None), name
        if not names or text[at - 1 : at] != " ":
            return None, None
        run = self._read_run(text, at, None)  # 李四 广东深圳南山区
        return (run, names[0]) if run.full_names and run.names > 1 else (None, None)

    def _names_a_city(self, run: _Run) -> bool:
        """Tell whether the text, not the column, names a city, and by more than one short name."""
        certain = run.full_names > 0 or run.short_names > 1
        return certain and any(not self._is_province(place) for place in run.open or ())

    def _is_province(self, number: int) -> bool:
        return self._places[number].level <= Level.PROVINCE

    def _join(self, open_: _Open | None, readings: Iterable[_Reading]) -> _Open:
        """Return what stays open after one more name: the deeper of every two places that lie on one line."""
        if open_ is None:
            return {place: doubt for place, doubt, needs_parent in readings if not needs_parent}
        joined: _Open = {}
        above: _Open = {}
        for place, doubt, needs_parent in readings:
            line = self._lines[place]
            for around in line[: 1 + needs_parent] if needs_parent else line:
                if around in open_:
                    _keep_least(joined, place, open_[around] + doubt)
            above[place] = doubt
        for place, doubt in open_.items():
            for around in self._lines[place][1:]:
                if around in above:
                    _keep_least(joined, place, doubt + above[around])
        return joined

    def _read_latin(self, text: str, column: _Open | None) -> _Run:
        """Read the parts between commas from the last to the first, where the larger regions stand."""
        run = _Run(column, 0)
        for segment in reversed(_LATIN_SEGMENTS.split(unicodedata.normalize("NFKC", text))):
            words = [latin_key(word) for word in _LATIN_WORDS.findall(segment)]
            for name in self._latin_names(words):
                joined = self._join(run.open, name.readings)
                if joined:
                    run.open = joined
                    run.full_names += 1
                elif run.names or not all(reading.needs_parent for reading in name.readings):
                    run.clash = {reading.place: reading.doubt for reading in name.readings}
                    return run
        return run

    def _latin_names(self, words: list[str]) -> list[_Name]:
        """Return the names that a segment ends with, the last first, and the two or more that it begins with.

        One name in front of other words is more often a street's or a hotel's (Nanjing Road, Beijing Hotel).
        """
        names: list[_Name] = []
        while words:
            if words[-1] in _LATIN_FILLERS or words[-1].isdecimal():
                words = words[:-1]
            elif not _STREET_WORD.match(words[-1]) and (found := self._longest(words, last=True)):
                names.append(found[0])
                words = words[: -found[1]]
            else:
                break
        begins: list[_Name] = []
        while found := self._longest(words, last=False):
            words = words[found[1] :]
            if _LATIN_STREET.match(" ".join(words[:3])):
                break
            begins.append(found[0])
        return names + begins if len(begins) > 1 else names

    def _longest(self, words: list[str], *, last: bool) -> tuple[_Name, int] | None:
        """Return the longest name at one end of the words, and how many of them it takes."""
        for size in range(min(len(words), MAX_LATIN_WORDS), 0, -1):
            name = self._word(words[-size:] if last else words[:size])
            if name is not None:
                return name, size
        return None

    def _word(self, words: list[str]) -> _Name | None:
        """Return the name that these words are, with or without their kind (Shenzhen Municipality)."""
        name = self._words.get("".join(words))
        if name is None and len(words) > 1 and words[-1] in _LATIN_KINDS:
            name = self._words.get("".join(words[:-1]))
        return name

    # --- Deciding ---------------------------------------------------------------------------------------------

    def _best(self, open_: _Open) -> list[int]:
        least = min(open_.values(), default=0)
        return [place for place, doubt in open_.items() if doubt == least]

    def _match(self, run: _Run) -> Match:
        best = self._best(run.open or {})  # 南昌 may be the city or the county in it: certain is the city
        if run.clash is not None:
            return self._undecided(Reason.NAMES_CONFLICT, [*best, *self._best(run.clash)])
        if not best:
            reason = Reason.UNSURE_NAME if run.hints else Reason.NO_REGION_NAMED
            return self._undecided(reason, run.hints)
        place = next((place for place in best if all(place in self._lines[other] for other in best)), None)
        if place is None:
            return self._undecided(Reason.AMBIGUOUS_NAME, best)
        if run.hints and not any(place in self._lines[hint] for hint in run.hints):
            return self._undecided(Reason.AMBIGUOUS_NAME, [place, *run.hints])  # 海南兴海 is not in the province
        place = self._same_area.get(place, place)
        hints = dict.fromkeys(hint for hint in [*best, *run.hints] if hint != place and place in self._lines[hint])
        beside = self._ids(hint for hint in run.beside if hint in hints)
        return Match(self._places[place].id, self._chains[place], None, self._ids(hints), beside)

    def _undecided(self, reason: Reason, candidates: list[int]) -> Match:
        shared = [
            place
            for place in (self._lines[candidates[0]] if candidates else ())
            if self._places[place].level > Level.MACRO and all(place in self._lines[other] for other in candidates)
        ]
        ids = self._ids(dict.fromkeys(candidates))
        if not shared or reason is Reason.UNSURE_NAME:
            return Match(None, (), reason, ids)
        return Match(self._places[shared[0]].id, self._chains[shared[0]], reason, ids)

    def _ids(self, numbers: Iterable[int]) -> tuple[int, ...]:
        return tuple(self._places[number].id for number in islice(numbers, MAX_CANDIDATES))


def _gathered(spoken: Iterable[tuple[int, Iterable[SpokenName]]]) -> Iterator[_Name]:
    """Turn the names of each place into the places of each name. A name that is full for one place is so for all."""
    readings: dict[str, dict[int, SpokenName]] = {}
    for place, names in spoken:
        for name in names:
            if len(name.text) > 1:
                known = readings.setdefault(name.text, {})
                if place not in known or name.doubt < known[place].doubt:
                    known[place] = name
    for text, by_place in readings.items():
        full = {place: name for place, name in by_place.items() if not name.short}
        yield _Name(
            text=text,
            short=not full,
            binding=len(text) > 2 and any(not name.doubt and not name.needs_parent for name in full.values()),
            readings=tuple(
                _Reading(place, name.doubt, name.needs_parent) for place, name in (full or by_place).items()
            ),
        )


def _past(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _keep_least(doubts: _Open, place: int, doubt: int) -> None:
    if doubts.get(place, doubt) >= doubt:
        doubts[place] = doubt


def _han_text(text: str) -> str:
    """Return the text in half-width, simplified characters, with one space for whatever separates (，· - and so on)."""
    text = simplified(_INVISIBLE.sub("", unicodedata.normalize("NFKC", text))[:MAX_TEXT])
    if "原" in text:
        text = _FORMERLY.sub(" ", text)
    return _SEPARATORS.sub(" ", text)


def _han_spans(text: str, names: Iterable[str], taken: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    # Character by character, because a span counts in the text as it was written.
    plain = "".join(same if len(same := unicodedata.normalize("NFKC", one)) == 1 else one for one in text)
    plain = simplified(plain)
    for name in names:
        at = plain.find(name)
        while at >= 0:
            if all(at >= end or at + len(name) <= start for start, end in taken):
                return [(at, at + len(name))]
            at = plain.find(name, at + 1)
    return []


def _latin_spans(text: str, names: Iterable[str], taken: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    words = [(word.start(), word.end()) for word in _LATIN_WORDS.finditer(text)]
    known = set(names)
    for many in range(MAX_LATIN_WORDS, 0, -1):
        for first in range(len(words) - many + 1):
            start, end = words[first][0], words[first + many - 1][1]
            if latin_key("".join(_LATIN_WORDS.findall(text[start:end]))) in known and all(
                start >= other_end or end <= other_start for other_start, other_end in taken
            ):
                return [(start, end)]
    return []
