"""CAVLC: the codes of quantised levels in H.264 (ITU-T H.264, 9.2)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

# The number of coefficients in the neighbouring blocks (nC): less than two, eight or more; and chroma DC.
FEW: Final = 0
MANY: Final = 3
CHROMA_DC: Final = 4


def residual(levels: tuple[int, ...], context: int) -> str:
    """residual_block_cavlc (7.3.5.3.2) of 16 levels, or 4 of chroma DC, from low to high frequency."""
    order: list[int] = []  # from high to low frequency
    runs: list[int] = []  # zeros before each level
    run = 0
    for level in levels:
        if level:
            order.append(level)
            runs.append(run)
            run = 0
        else:
            run += 1
    total = len(order)
    if not total:
        return _TOKENS[context][0]
    order.reverse()
    runs.reverse()
    ones = 0
    for level in order[:3]:
        if level not in (1, -1):
            break
        ones += 1
    bits = [_TOKENS[context][4 * total + ones], *("1" if level < 0 else "0" for level in order[:ones])]
    suffix = 1 if total > 10 and ones < 3 else 0
    for number in range(ones, total):
        # The first level after fewer than three trailing ones is not one, so its code is 2 less (9.2.2.1).
        code, suffix = _level(order[number], suffix, number == ones < 3)
        bits.append(code)
    left = len(levels) - total - run
    if total < len(levels):
        bits.append((CHROMA_ZEROS if context == CHROMA_DC else ZEROS)[total - 1][left])
    for run in runs[:-1]:
        if not left:
            break
        bits.append(RUNS[min(left, 7) - 1][run])
        left -= run
    return "".join(bits)


@lru_cache(maxsize=1 << 13)
def _level(level: int, suffix: int, shortened: bool) -> tuple[str, int]:
    """The code of a level, and the length of the suffix of the next one (9.2.2.1)."""
    code = (2 * level - 2 if level > 0 else -2 * level - 1) - 2 * shortened
    longer = max(suffix, 1)
    if abs(level) > 3 << (longer - 1) and longer < 6:
        longer += 1
    return _level_code(code, suffix), longer


def _level_code(code: int, suffix: int) -> str:
    if suffix == 0 and code < 14:
        return "0" * code + "1"
    if suffix == 0 and code < 30:
        return "0" * 14 + f"1{code - 14:04b}"
    if suffix and code >> suffix < 15:
        return "0" * (code >> suffix) + f"1{code & ((1 << suffix) - 1):0{suffix}b}"
    return "0" * 15 + f"1{code - (15 << suffix if suffix else 30):012b}"


def _table(lengths: str, values: str) -> list[list[str]]:
    return [
        [f"{int(v):0{int(n)}b}" for n, v in zip(ns.split(), vs.split(), strict=True)]
        for ns, vs in zip(lengths.splitlines(), values.splitlines(), strict=True)
    ]


# Table 9-5, 0 <= nC < 2.
_TOKEN_LENGTHS: Final = [
    *(
        1,
        0,
        0,
        0,
        6,
        2,
        0,
        0,
        8,
        6,
        3,
        0,
        9,
        8,
        7,
        5,
        10,
        9,
        8,
        6,
        11,
        10,
        9,
        7,
        13,
        11,
        10,
        8,
        13,
        13,
        11,
        9,
    ),
    *(13, 13, 13, 10, 14, 14, 13, 11, 14, 14, 14, 13, 15, 15, 14, 14, 15, 15, 15, 14, 16, 15, 15, 15),
    *(16, 16, 16, 15, 16, 16, 16, 16, 16, 16, 16, 16),
]
_TOKEN_VALUES: Final = [
    *(1, 0, 0, 0, 5, 1, 0, 0, 7, 4, 1, 0, 7, 6, 5, 3, 7, 6, 5, 3, 7, 6, 5, 4, 15, 6, 5, 4, 11, 14, 5, 4),
    *(8, 10, 13, 4, 15, 14, 9, 4, 11, 10, 13, 12, 15, 14, 9, 12, 11, 10, 13, 8, 15, 1, 9, 12),
    *(11, 14, 13, 8, 7, 10, 9, 12, 4, 6, 5, 8),
]
# Table 9-5, chroma DC.
_CHROMA_LENGTHS: Final = [2, 0, 0, 0, 6, 1, 0, 0, 6, 6, 3, 0, 6, 7, 7, 6, 6, 8, 8, 7]
_CHROMA_VALUES: Final = [1, 0, 0, 0, 7, 1, 0, 0, 4, 6, 1, 0, 3, 3, 2, 5, 2, 3, 2, 0]
# Tables 9-7 and 9-8: total_zeros for 1, 2, … coefficients.
ZEROS: Final = _table(
    """1 3 3 4 4 5 5 6 6 7 7 8 8 9 9 9
3 3 3 3 3 4 4 4 4 5 5 6 6 6 6
4 3 3 3 4 4 3 3 4 5 5 6 5 6
5 3 4 4 3 3 3 4 3 4 5 5 5
4 4 4 3 3 3 3 3 4 5 4 5
6 5 3 3 3 3 3 3 4 3 6
6 5 3 3 3 2 3 4 3 6
6 4 5 3 2 2 3 3 6
6 6 4 2 2 3 2 5
5 5 3 2 2 2 4
4 4 3 3 1 3
4 4 2 1 3
3 3 1 2
2 2 1
1 1""",
    """1 3 2 3 2 3 2 3 2 3 2 3 2 3 2 1
7 6 5 4 3 5 4 3 2 3 2 3 2 1 0
5 7 6 5 4 3 4 3 2 3 2 1 1 0
3 7 5 4 6 5 4 3 3 2 2 1 0
5 4 3 7 6 5 4 3 2 1 1 0
1 1 7 6 5 4 3 2 1 1 0
1 1 5 4 3 3 2 1 1 0
1 1 1 3 3 2 2 1 0
1 0 1 3 2 1 1 1
1 0 1 3 2 1 1
0 1 1 2 1 3
0 1 1 1 1
0 1 1 1
0 1 1
0 1""",
)
CHROMA_ZEROS: Final = _table("1 2 3 3\n1 2 2\n1 1", "1 1 1 0\n1 1 0\n1 0")
# Table 9-10: run_before for 1, 2, … zeros left.
RUNS: Final = _table(
    "1 1\n1 2 2\n2 2 2 2\n2 2 2 3 3\n2 2 3 3 3 3\n2 3 3 3 3 3 3\n3 3 3 3 3 3 3 4 5 6 7 8 9 10 11",
    "1 0\n1 1 0\n3 2 1 0\n3 2 1 1 0\n3 2 3 2 1 0\n3 0 1 3 2 5 4\n7 6 5 4 3 2 1 1 1 1 1 1 1 1 1",
)

# coeff_token at 4 * total_coeff + trailing_ones.
_TOKENS: Final = {
    FEW: [f"{value:0{length}b}" for length, value in zip(_TOKEN_LENGTHS, _TOKEN_VALUES, strict=True)],
    MANY: ["000011", "", "", "", *(f"{value:06b}" for value in range(64))],
    CHROMA_DC: [f"{value:0{length}b}" for length, value in zip(_CHROMA_LENGTHS, _CHROMA_VALUES, strict=True)],
}
