from __future__ import annotations

import hashlib

from mock_fal.media.audio import render
from mock_fal.media.recipe import Sound
from tests.media.decoding import opened


def test_flac_passes_its_own_checksums() -> None:
    """ffmpeg checks both CRCs of each frame when told to; an MD5 is compared here."""
    data = render(Sound("a cat", 40, format="flac", channels=2))
    with opened(data, err_detect="crccheck+explode") as file:
        pcm = b"".join(f.to_ndarray().astype("<i2").tobytes() for f in file.decode(audio=0))
    assert hashlib.md5(pcm).digest() == data[26:42]
