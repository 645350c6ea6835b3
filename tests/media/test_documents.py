from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
import zipfile

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load

from mock_fal.media.documents import (
    Chunk,
    chunks,
    csv_file,
    json_file,
    plain,
    render,
    safetensors,
    srt,
    svg,
    vtt,
    zip_file,
)
from mock_fal.media.recipe import Document
from tests.media.decoding import opened

CHUNKS = [Chunk(0, 1.5, "Hello."), Chunk(1.5, 3661.25, "A <b> & --> c\n\nd")]


def test_srt_and_vtt_have_growing_times() -> None:
    assert "00:00:01,500 --> 01:01:01,250" in srt(CHUNKS).decode()
    assert vtt(CHUNKS).startswith(b"WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHello.\n\n")
    assert vtt(CHUNKS).count(b"-->") == srt(CHUNKS).count(b"-->") == 2
    assert b"&lt;b&gt;" in vtt(CHUNKS)


def test_ffmpeg_reads_the_subtitles() -> None:
    for data, format in ((srt(CHUNKS), "srt"), (vtt(CHUNKS), "webvtt")):
        with opened(data, format) as file:
            assert len([packet for packet in file.demux() if packet.size]) == 2


@given(st.text(), st.integers(16, 2000), st.integers(16, 2000))
def test_svg_is_xml_whatever_the_prompt(text: str, width: int, height: int) -> None:
    root = ET.fromstring(svg(text, 1, width, height))
    assert (root.get("width"), root.get("height")) == (str(width), str(height))


@given(
    st.dictionaries(st.from_regex(r"[a-zé]{1,12}\.txt", fullmatch=True), st.binary(max_size=200), max_size=5),
    st.sampled_from([1, 4, 64]),
)
def test_a_zip_is_read_back(files: dict[str, bytes], alignment: int) -> None:
    data = zip_file(files, alignment=alignment)
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        assert {name: file.read(name) for name in file.namelist()} == files


def test_safetensors_load() -> None:
    tensors = load(safetensors("a style", 1))
    assert len(tensors) == 12
    for tensor in tensors.values():
        assert tensor.dtype == np.float16 and np.isfinite(tensor).all() and 0 < abs(tensor).max() < 0.1
    assert safetensors("a style", 1) == safetensors("a style", 1) != safetensors("a style", 2)


def test_json_csv_and_text() -> None:
    assert json.loads(json_file({"a": ["é", 1]})) == {"a": ["é", 1]}
    assert list(csv.reader(io.StringIO(csv_file([["a", 1], ['b,"', None]]).decode()))) == [
        ["a", "1"],
        ['b,"', ""],
    ]
    assert plain("hello\n") == b"hello\n"
    assert re.match(rb"\?", plain("\ud800"))


def test_a_text_is_divided_at_sentences_and_after_eight_words() -> None:
    text = "One two three. " + " ".join(f"word{number}" for number in range(20))
    found = chunks(text, 12.5)
    assert [len(chunk.text.split()) for chunk in found] == [3, 8, 8, 4]
    assert " ".join(chunk.text for chunk in found) == text
    assert (found[0].start, found[-1].end) == (0, 12.5)
    assert all(before.end == after.start for before, after in zip(found[:-1], found[1:], strict=True))


@given(st.text(max_size=300), st.floats(0, 600))
def test_chunks_grow_in_time(text: str, seconds: float) -> None:
    found = chunks(text, seconds)
    assert all(0 <= chunk.start <= chunk.end for chunk in found)
    assert all(before.end <= after.start for before, after in zip(found[:-1], found[1:], strict=True))


def test_a_document_is_made_of_its_text() -> None:
    assert render(Document("srt", "a cat", duration_s=2)) == srt([Chunk(0, 2, "a cat")])
    assert render(Document("vtt", "a cat", duration_s=2)) == vtt([Chunk(0, 2, "a cat")])
    assert render(Document("json", "", data='{"a": 1}')) == b'{"a": 1}\n'
    assert json.loads(render(Document("json", "a cat", 7))) == {"text": "a cat", "seed": 7}
    assert list(csv.reader(io.StringIO(render(Document("csv", "a, cat", 7)).decode()))) == [
        ["text", "seed"],
        ["a, cat", "7"],
    ]
    assert render(Document("svg", "a cat", 7, width=64, height=48)) == svg("a cat", 7, 64, 48)
    assert render(Document("safetensors", "a cat", 7)) == safetensors("a cat", 7)
    with zipfile.ZipFile(io.BytesIO(render(Document("zip", "a cat")))) as file:
        assert file.read("placeholder.txt") == b"a cat\n"
