"""Embeddings: unit vectors that depend on the text alone; texts that share words are closer to each other."""

from __future__ import annotations

import math
import re
from array import array
from base64 import b64encode
from dataclasses import dataclass
from hashlib import blake2b, shake_128
from operator import mul
from typing import Final

from mock_fal.errors import JSON
from mock_fal.models.openai.fields import Fields
from mock_fal.models.openai.problem import missing, wrong_type, wrong_value
from mock_fal.models.text import Usage, count_tokens
from mock_fal.requests.outcome import Deferred

# assumption: OpenAI's limits of a request, and the dimensions of text-embedding-3-small for every model.
MAX_INPUTS: Final = 2048
MAX_DIMENSIONS: Final = 8192
USUAL_DIMENSIONS: Final = 1536

# deviation: the numbers of one response, which take about a second to compute and write.
MAX_NUMBERS: Final = MAX_INPUTS * USUAL_DIMENSIONS

# The words of a text that are read, and the numbers of a vector that each of them changes.
MAX_WORDS: Final = 2_000
_PLACES_PER_WORD: Final = 16
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Vector(Deferred):
    """The vector of a text, computed when the response is written: a list of numbers, or base64 of 32-bit floats."""

    text: str
    dimensions: int
    as_base64: bool

    def json(self) -> JSON:
        numbers = unit_vector(self.text, self.dimensions)
        if not self.as_base64:
            return [round(number, 8) for number in numbers]
        packed = array("f", numbers)
        if packed.itemsize != 4:  # no platform of CPython has another size
            raise AssertionError(packed.itemsize)
        return b64encode(packed.tobytes()).decode()


def unit_vector(text: str, dimensions: int) -> list[float]:
    """The vector of a text; its length is 1."""
    # A little noise from the whole text, then the same places for the same word.
    noise = array("b", shake_128(text.encode("utf-8", "surrogatepass")).digest(dimensions))
    numbers = [2 * value + 1 for value in noise]  # never 0; integers, so that all machines agree
    weight = 128 * math.isqrt(dimensions // _PLACES_PER_WORD + 1)
    for word in set(_WORD.findall(text[: MAX_WORDS * 16].lower())[:MAX_WORDS]):
        places = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=4 * _PLACES_PER_WORD).digest()
        for start in range(0, len(places), 4):
            place = int.from_bytes(places[start : start + 4])
            numbers[(place >> 1) % dimensions] += weight if place & 1 else -weight
    length = math.sqrt(sum(map(mul, numbers, numbers)))
    return [number / length for number in numbers]


def embeddings(request: Fields) -> tuple[JSON, Usage]:
    """The response to a request, and the usage. Raises Problem."""
    model = request.text("model")
    texts = _texts(request)
    dimensions = request.whole("dimensions", 1, MAX_DIMENSIONS) or USUAL_DIMENSIONS
    if len(texts) * dimensions > MAX_NUMBERS:
        seen = f"{len(texts)} vectors of {dimensions} dimensions"
        raise wrong_value("input", f"{seen}, expected at most {MAX_NUMBERS} numbers in one response")
    form = request.text("encoding_format", "float")
    if form not in ("float", "base64"):
        raise wrong_value("encoding_format", "expected 'float' or 'base64'")
    usage = Usage(sum(map(count_tokens, texts)), 0)
    data = [
        {"object": "embedding", "index": index, "embedding": Vector(text, dimensions, form == "base64")}
        for index, text in enumerate(texts)
    ]
    counts = {name: usage.body[name] for name in ("prompt_tokens", "total_tokens", "cost")}
    return {"object": "list", "data": data, "model": model, "usage": counts}, usage


def _texts(request: Fields) -> list[str]:
    """The inputs: one text or list of tokens, or a list of either. Tokens are read as their numbers."""
    given = request.get("input")
    if given is None:
        raise missing("input")
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list):
        raise wrong_type("input", "a string or an array", given)
    if not given:
        raise wrong_value("input", "expected at least one item")
    if all(_is_token(item) for item in given):
        given = [given]
    if len(given) > MAX_INPUTS:
        raise wrong_value("input", f"it has {len(given)} items, expected at most {MAX_INPUTS}")
    return [_text(item, f"input[{index}]") for index, item in enumerate(given)]


def _text(item: JSON, path: str) -> str:
    if isinstance(item, list) and item and all(map(_is_token, item)):
        return " ".join(map(str, item))
    if not isinstance(item, str):
        raise wrong_type(path, "a string or an array of tokens", item)
    if not item:
        raise wrong_value(path, "expected at least one character")
    return item


def _is_token(item: JSON) -> bool:
    return isinstance(item, int) and not isinstance(item, bool) and 0 <= item < 1 << 32
