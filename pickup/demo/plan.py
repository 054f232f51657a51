"""How large a demo is and whom it copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

# People by city, code of GB/T 2260 → Seventh National Population Census of China, 2020. Their sum is 126,012,510.
GUANGDONG = {
    "440100": 18_676_605,  # 广州市
    "440200": 2_855_131,  # 韶关市
    "440300": 17_560_061,  # 深圳市
    "440400": 2_439_585,  # 珠海市
    "440500": 5_502_031,  # 汕头市
    "440600": 9_498_863,  # 佛山市
    "440700": 4_798_090,  # 江门市
    "440800": 6_981_236,  # 湛江市
    "440900": 6_174_050,  # 茂名市
    "441200": 4_113_594,  # 肇庆市
    "441300": 6_042_852,  # 惠州市
    "441400": 3_873_239,  # 梅州市
    "441500": 2_672_819,  # 汕尾市
    "441600": 2_837_686,  # 河源市
    "441700": 2_602_959,  # 阳江市
    "441800": 3_969_473,  # 清远市
    "441900": 10_466_625,  # 东莞市
    "442000": 4_418_060,  # 中山市
    "445100": 2_568_387,  # 潮州市
    "445200": 5_577_814,  # 揭阳市
    "445300": 2_383_350,  # 云浮市
}


@dataclass(frozen=True)
class Plan:
    """`people` are the inhabitants by the code of their city; what lies deeper comes from the region tree.

    More than one of `processes` shares the work among processes with database connections of their own.
    """

    seed: int = 1
    points: int = 300
    orders: int = 5_000
    people: Mapping[str, int] = field(default_factory=GUANGDONG.copy)
    processes: int = 1

    @property
    def doubtful(self) -> int:
        """How many orders there are for each reason of review."""
        return max(1, self.orders // 600)

    def chance(self, what: str) -> Random:
        """Return the same numbers for the same seed and purpose, whatever else was drawn before."""
        return Random(f"{self.seed}:{what}")  # noqa: S311 - a demo that can be repeated, nothing secret


def shares(total: int, weights: list[float]) -> list[int]:
    """Divide a whole number by weights, by largest remainders: the parts sum up to it."""
    exact = [total * weight / sum(weights) for weight in weights]
    parts = [int(part) for part in exact]
    by_remainder = sorted(range(len(exact)), key=lambda number: (parts[number] - exact[number], number))
    for number in by_remainder[: total - sum(parts)]:
        parts[number] += 1
    return parts
