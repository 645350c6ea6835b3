"""Placeholder 3D models: a coloured cube or pyramid as GLB, OBJ, STL, PLY or USDZ.

FBX is left out: its binary form is undocumented, and many loaders refuse the text form.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from struct import pack
from typing import Final

from mock_fal.media.documents import zip_file
from mock_fal.media.recipe import Model3D
from mock_fal.pictures.palette import palette
from mock_fal.pictures.random_stream import RandomStream

Vector = tuple[float, float, float]
Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Face:
    """A flat side: its corners counterclockwise as seen from outside, its normal, and its colour in sRGB."""

    corners: tuple[Vector, ...]
    normal: Vector
    colour: Colour


def render(model: Model3D) -> bytes:
    """The file of a model. The same model gives the same bytes.

    >>> render(Model3D("a chair"))[:4]
    b'glTF'
    """
    faces = shape(model)
    match model.format:
        case "glb":
            return glb(faces)
        case "obj":
            return obj(faces)
        case "obj.zip":
            return zip_file({"model.obj": obj(faces, material="model.mtl"), "model.mtl": mtl(faces)})
        case "stl":
            return stl(faces)
        case "ply":
            return ply(faces)
        case "usdz":
            return usdz(faces)


def shape(model: Model3D) -> tuple[Face, ...]:
    """A cube, or a pyramid with four sides, one unit in size, in the colours of a picture's palette."""
    random = RandomStream("model", model.text, model.seed)
    solid = random.choice((_CUBE, _PYRAMID))
    tones = palette(random)
    found = []
    for number, corners in enumerate(solid):
        at = 3 * (1 + number % 7)
        found.append(Face(corners, _normal(corners), (tones[at], tones[at + 1], tones[at + 2])))
    return tuple(found)


def _cube() -> tuple[tuple[Vector, ...], ...]:
    sides: list[tuple[Vector, ...]] = []
    for axis in range(3):
        for sign in (-0.5, 0.5):
            turns = ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))
            corners = [(sign, u, v) if sign > 0 else (sign, v, u) for u, v in turns]
            sides.append(tuple((c[-axis % 3], c[(1 - axis) % 3], c[(2 - axis) % 3]) for c in corners))
    return tuple(sides)


_CUBE: Final = _cube()
_TOP: Final = (0.0, 0.5, 0.0)
_BASE: Final = ((-0.5, -0.5, -0.5), (0.5, -0.5, -0.5), (0.5, -0.5, 0.5), (-0.5, -0.5, 0.5))
_PYRAMID: Final[tuple[tuple[Vector, ...], ...]] = (
    _BASE,
    *((_BASE[(side + 1) % 4], _BASE[side], _TOP) for side in range(4)),
)


def _normal(corners: Sequence[Vector]) -> Vector:
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = corners[:3]
    ux, uy, uz, vx, vy, vz = bx - ax, by - ay, bz - az, cx - bx, cy - by, cz - bz
    x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    length = (x * x + y * y + z * z) ** 0.5
    return x / length, y / length, z / length


def _triangles(face: Face) -> list[tuple[Vector, Vector, Vector]]:
    first = face.corners[0]
    return [(first, face.corners[i], face.corners[i + 1]) for i in range(1, len(face.corners) - 1)]


def glb(faces: Sequence[Face]) -> bytes:
    """glTF 2.0 in one file: positions, normals and vertex colours of all corners, and triangles."""
    positions = [corner for face in faces for corner in face.corners]
    normals = [face.normal for face in faces for _ in face.corners]
    colours = [(*map(_linear, face.colour), 1.0) for face in faces for _ in face.corners]
    indices: list[int] = []
    first = 0
    for face in faces:
        for corner in range(1, len(face.corners) - 1):
            indices += (first, first + corner, first + corner + 1)
        first += len(face.corners)
    parts = [
        b"".join(pack("<3f", *position) for position in positions),
        b"".join(pack("<3f", *normal) for normal in normals),
        b"".join(pack("<4f", *colour) for colour in colours),
        pack(f"<{len(indices)}H", *indices),
    ]
    count = len(positions)
    axes = list(zip(*positions, strict=True))
    box = {"min": list(map(min, axes)), "max": list(map(max, axes))}
    accessors = [
        {"bufferView": 0, "componentType": 5126, "count": count, "type": "VEC3", **box},
        {"bufferView": 1, "componentType": 5126, "count": count, "type": "VEC3"},
        {"bufferView": 2, "componentType": 5126, "count": count, "type": "VEC4"},
        {"bufferView": 3, "componentType": 5123, "count": len(indices), "type": "SCALAR"},
    ]
    views, offset = [], 0
    for number, part in enumerate(parts):
        target = 34963 if number == 3 else 34962
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": len(part), "target": target})
        offset += len(part)
    attributes = {"POSITION": 0, "NORMAL": 1, "COLOR_0": 2}
    document = {
        "asset": {"version": "2.0", "generator": "mock-fal"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "placeholder"}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": 3, "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 0.8}}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": offset}],
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    binary = b"".join(parts)
    binary += bytes(-len(binary) % 4)
    chunks = pack("<I4s", len(text), b"JSON") + text + pack("<I4s", len(binary), b"BIN\0") + binary
    return pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _linear(value: int) -> float:
    """A colour of sRGB as linear light; four decimals are the same on every machine."""
    part = value / 255
    return round(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4, 4)


def obj(faces: Sequence[Face], material: str = "") -> bytes:
    """Wavefront OBJ, with colours behind the vertices, or with a file of materials."""
    lines = ["# mock-fal", *([f"mtllib {material}"] if material else []), "o placeholder"]
    for face in faces:
        tail = "" if material else "".join(f" {value / 255:.4f}" for value in face.colour)
        lines += ("v" + "".join(f" {value:g}" for value in corner) + tail for corner in face.corners)
    lines += ("vn" + "".join(f" {value:.6f}" for value in face.normal) for face in faces)
    first = 1
    for number, face in enumerate(faces, 1):
        lines += [f"usemtl side{number}"] if material else []
        lines.append("f" + "".join(f" {first + corner}//{number}" for corner in range(len(face.corners))))
        first += len(face.corners)
    return _text(lines)


def mtl(faces: Sequence[Face]) -> bytes:
    """The materials of `obj`: one for each side."""
    lines = ["# mock-fal"]
    for number, face in enumerate(faces, 1):
        lines += (f"newmtl side{number}", "Kd" + "".join(f" {value / 255:.4f}" for value in face.colour), "")
    return _text(lines)


def stl(faces: Sequence[Face]) -> bytes:
    """Binary STL, without colours."""
    triangles = [(face.normal, triangle) for face in faces for triangle in _triangles(face)]
    records = (
        pack("<12fH", *normal, *(value for corner in triangle for value in corner), 0)
        for normal, triangle in triangles
    )
    return b"mock-fal".ljust(80) + pack("<I", len(triangles)) + b"".join(records)


def ply(faces: Sequence[Face]) -> bytes:
    """PLY, binary, with normals and colours, in triangles: some loaders refuse sides of several lengths."""
    corners = [(corner, face) for face in faces for triangle in _triangles(face) for corner in triangle]
    names = [
        *(f"float {name}" for name in ("x", "y", "z", "nx", "ny", "nz")),
        "uchar red",
        "uchar green",
        "uchar blue",
    ]
    head = ["ply", "format binary_little_endian 1.0", "comment mock-fal", f"element vertex {len(corners)}"]
    head += (f"property {name}" for name in names)
    head += [f"element face {len(corners) // 3}", "property list uchar int vertex_indices", "end_header"]
    body = [pack("<6f3B", *corner, *face.normal, *face.colour) for corner, face in corners]
    body += (pack("<B3i", 3, first, first + 1, first + 2) for first in range(0, len(corners), 3))
    return _text(head) + b"".join(body)


def usdz(faces: Sequence[Face]) -> bytes:
    """USDZ: a stored ZIP of one text file of USD, whose data begins at a multiple of 64 bytes."""
    points = [corner for face in faces for corner in face.corners]
    counts = [len(face.corners) for face in faces]
    colours = [tuple(map(_linear, face.colour)) for face in faces]
    lines = [
        "#usda 1.0",
        '(defaultPrim = "placeholder"\n metersPerUnit = 1\n upAxis = "Y")',
        'def Mesh "placeholder"',
        "{",
        f"    int[] faceVertexCounts = {counts}",
        f"    int[] faceVertexIndices = {list(range(len(points)))}",
        f"    point3f[] points = [{', '.join(map(str, points))}]",
        f"    normal3f[] normals = [{', '.join(_vector(face.normal) for face in faces for _ in face.corners)}] "
        '(interpolation = "faceVarying")',
        f"    color3f[] primvars:displayColor = [{', '.join(map(_vector, colours))}] "
        '(interpolation = "uniform")',
        '    uniform token subdivisionScheme = "none"',
        "}",
    ]
    return zip_file({"model.usda": _text(lines)}, alignment=64)


def _vector(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.6f}" for value in values) + ")"


def _text(lines: Sequence[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
