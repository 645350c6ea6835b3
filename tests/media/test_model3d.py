from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
import trimesh

from mock_fal.media.model3d import render, shape
from mock_fal.media.recipe import Model3D, ModelFormat

TEXTS = pytest.mark.parametrize("text", ["a chair", "a cat", "a house", "a tree"])


@TEXTS
@pytest.mark.parametrize("format", ["glb", "obj", "stl", "ply"])
def test_a_model_is_a_closed_body_seen_from_outside(text: str, format: ModelFormat) -> None:
    mesh: Any = trimesh.load(io.BytesIO(render(Model3D(text, format=format))), file_type=format, force="mesh")
    mesh.merge_vertices(merge_norm=True, merge_tex=True)
    assert mesh.is_watertight
    assert mesh.volume > 0.2
    assert np.allclose(mesh.bounds, [[-0.5] * 3, [0.5] * 3])


def test_both_shapes_come_up() -> None:
    assert {len(shape(Model3D(f"thing {i}"))) for i in range(20)} == {5, 6}


def test_glb_is_aligned_and_coloured() -> None:
    data = render(Model3D("a chair"))
    assert int.from_bytes(data[8:12], "little") == len(data) and len(data) % 4 == 0
    document = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    view = document["bufferViews"][2]
    start = data.index(b"BIN\0") + 4 + view["byteOffset"]
    colours = np.frombuffer(data[start : start + view["byteLength"]], "<f4").reshape(-1, 4)
    assert len(np.unique(colours, axis=0)) >= 4 and colours.min() >= 0 and colours.max() <= 1


def test_usdz_is_a_stored_zip_aligned_to_64_bytes() -> None:
    data = render(Model3D("a chair", format="usdz"))
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        (info,) = file.infolist()
        assert info.compress_type == zipfile.ZIP_STORED
        text = file.read(info)
    assert text.startswith(b"#usda 1.0") and data.index(b"#usda 1.0") % 64 == 0


def test_obj_comes_with_materials_in_a_zip() -> None:
    with zipfile.ZipFile(io.BytesIO(render(Model3D("a chair", format="obj.zip")))) as file:
        assert file.namelist() == ["model.obj", "model.mtl"]
        assert b"mtllib model.mtl" in file.read("model.obj") and b"newmtl side1" in file.read("model.mtl")


@pytest.mark.parametrize("format", ["glb", "obj", "obj.zip", "stl", "ply", "usdz"])
def test_the_same_model_gives_the_same_bytes(format: ModelFormat) -> None:
    assert render(Model3D("a chair", 3, format)) == render(Model3D("a chair", 3, format))
    assert len(render(Model3D("a chair", 3, format))) < 10_000
