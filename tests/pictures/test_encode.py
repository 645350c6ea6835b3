from __future__ import annotations

import io
import zlib

from PIL import Image

from mock_fal.pictures.encode import jpeg, png


def strip(height: int, offset: int) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((200, height)).point(
        [tone // 2 + offset for tone in range(256)]
    ).convert("RGB").save(file, "JPEG", quality=95, restart_marker_rows=1)
    return file.getvalue()


def test_joined_strips_decode_to_the_same_pixels() -> None:
    """Two whole bands of eight and sixteen MCU rows, and a partial one."""
    strips = [strip(128, 0), strip(256, 60), strip(37, 120)]
    joined = Image.open(io.BytesIO(jpeg(421, strips)))
    separate = [Image.open(io.BytesIO(part)) for part in strips]
    assert joined.size == (200, 421)
    assert joined.crop((0, 0, 200, 120)).tobytes() == separate[0].crop((0, 0, 200, 120)).tobytes()
    assert joined.crop((0, 140, 200, 370)).tobytes() == separate[1].crop((0, 12, 200, 242)).tobytes()
    assert joined.crop((0, 390, 200, 421)).tobytes() == separate[2].crop((0, 6, 200, 37)).tobytes()


def test_a_single_strip_is_unchanged() -> None:
    assert jpeg(50, [strip(50, 9)]) == strip(50, 9)


def test_a_png_of_two_bands_decodes() -> None:
    first, step = bytes([1, 2, 3] * 4), bytes([10, 10, 10] * 4)
    file = png(4, 3, [first + step, step])
    decoded = Image.open(io.BytesIO(file))
    assert (decoded.mode, decoded.size) == ("RGB", (4, 3))
    assert decoded.tobytes() == bytes([1, 2, 3] * 4 + [11, 12, 13] * 4 + [21, 22, 23] * 4)
    assert file.endswith(b"IEND" + zlib.crc32(b"IEND").to_bytes(4, "big"))
