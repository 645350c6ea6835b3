from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import pytest
from PIL import Image

from mock_fal.accounts.acl import Acl, Decision, ObjectLifecycle
from mock_fal.clock import ManualClock
from mock_fal.emulator import Emulator
from mock_fal.endpoint import EndpointId
from mock_fal.errors import UnusableFile
from mock_fal.files import inputs
from mock_fal.files.inputs import External, InputFiles, urls
from mock_fal.pictures.recipe import Source
from mock_fal.pictures.render import read_source
from mock_fal.settings import Settings

PUBLIC = ObjectLifecycle()


def png(width: int = 8, height: int = 6) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator(Settings(), ManualClock())
    yield emulator
    emulator.storage.file_store.close()


@pytest.fixture
def files(emulator: Emulator) -> InputFiles:
    return InputFiles(emulator.storage)


def uploaded(emulator: Emulator, data: bytes, object_lifecycle: ObjectLifecycle = PUBLIC) -> str:
    """Upload a file as Ana; its path."""
    upload = emulator.storage.create_upload("ana", "a.png", "image/png", object_lifecycle)
    writer = emulator.storage.open_writer(upload, 0)
    writer.reserve(len(data))
    writer.write([data])
    emulator.storage.commit(writer)
    return upload.path


def error_of(files: InputFiles, url: str, account: str = "ana") -> tuple[str, dict[str, object]]:
    with pytest.raises(UnusableFile) as caught:
        files.picture(url, account)
    return caught.value.error_type, caught.value.ctx


@pytest.mark.parametrize(
    "uri",
    [
        "data:image/png;base64," + base64.b64encode(png()).decode(),
        "DATA:;BASE64," + base64.b64encode(png()).decode().replace("=", "%3D"),
        "data:image/png," + "".join(f"%{byte:02x}" for byte in png()),
    ],
)
def test_a_data_uri_is_read(files: InputFiles, uri: str) -> None:
    source = files.picture(uri, "ana")
    assert source and (source.width, source.height) == (8, 6)


@pytest.mark.parametrize(
    "uri", ["data:", "data:image/png;base64", "data:;base64,###", "data:,x", "data:,\ud800"]
)
def test_a_data_uri_without_a_picture_is_an_error(files: InputFiles, uri: str) -> None:
    assert error_of(files, uri) == ("image_load_error", {})


@pytest.mark.parametrize(
    "host", ["https://v3b.fal.media", "https://fal.media", "http://10.0.0.7:8325/v3.fal.media"]
)
def test_an_upload_is_read_by_any_of_its_urls(emulator: Emulator, files: InputFiles, host: str) -> None:
    source = files.picture(host + uploaded(emulator, png()), "bob")
    assert source and (source.width, source.height) == (8, 6)


@pytest.mark.parametrize(
    "url",
    [
        "https://v3b.fal.media/files/b/0aa00000/x.png",
        "http://localhost:8325/v3b.fal.media/files/b/0aa00000/x.png",
        "https://v3b.fal.media",
        "cat.png",
        "",
        "https://[",
        "https://",
        "file:///etc/passwd",
    ],
)
def test_a_missing_file_can_not_be_downloaded(files: InputFiles, url: str) -> None:
    assert error_of(files, url) == ("file_download_error", {})


def test_a_restricted_file_is_read_only_for_accounts_with_access(
    emulator: Emulator, files: InputFiles
) -> None:
    path = uploaded(emulator, png(), ObjectLifecycle(acl=Acl(Decision.HIDE)))
    assert files.picture(f"https://v3b.fal.media{path}", "ana")
    assert error_of(files, f"https://v3b.fal.media{path}", "bob") == ("file_download_error", {})


def test_files_of_other_hosts_are_not_fetched(files: InputFiles) -> None:
    assert files.picture("https://example.com/cat.png", "ana") is None


def test_a_file_of_a_result_is_read(emulator: Emulator, files: InputFiles) -> None:
    body = b'{"prompt": "a cat", "image_size": {"width": 64, "height": 32}}'
    request = emulator.run(EndpointId.parse("fal-ai/flux/schnell"), body, "ana")
    source = files.picture(f"https://v3b.fal.media{request.files[0].path}", "bob")
    assert source and (source.width, source.height) == (64, 32)


def test_a_file_that_is_too_large_is_an_error(
    emulator: Emulator, files: InputFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "MAX_BYTES", 20)
    url = f"https://v3b.fal.media{uploaded(emulator, png())}"
    assert error_of(files, url) == ("file_too_large", {"max_size": 20})
    assert error_of(files, "data:," + "x" * 21) == ("file_too_large", {"max_size": 20})


def test_a_picture_is_decoded_once(
    emulator: Emulator, files: InputFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[bytes] = []

    def recording(data: bytes) -> Source:
        calls.append(data)
        return read_source(data)

    monkeypatch.setattr(inputs, "read_source", recording)
    monkeypatch.setattr(inputs, "_MAX_CACHED", 1)
    first, second = (f"https://v3b.fal.media{uploaded(emulator, png())}" for _ in range(2))
    other = f"https://v3b.fal.media{uploaded(emulator, png(9))}"
    assert files.picture(first, "ana") is files.picture(second, "ana")
    files.picture(other, "ana")
    files.picture(first, "ana")
    assert calls == [png(), png(9), png()]


def test_the_urls_of_an_input_are_those_of_its_pictures() -> None:
    assert list(urls({"image_url": "a", "image_urls": ["b", 5, "a"], "prompt": "c"})) == ["a", "b", "a"]
    assert list(urls({"image_url": None, "image_urls": None})) == list(urls(["a"])) == []


def test_a_file_of_another_host_is_external(files: InputFiles) -> None:
    assert files.open("https://example.com/a.png", "ana") == External("https://example.com/a.png")


def test_a_broken_file_is_read_once(files: InputFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    assert error_of(files, "data:,x") == ("image_load_error", {})
    monkeypatch.setattr(inputs, "read_source", None)
    assert error_of(files, "data:,x") == ("image_load_error", {})


def test_a_result_is_read_once(
    emulator: Emulator, files: InputFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b'{"prompt": "a cat", "image_size": {"width": 64, "height": 32}}'
    request = emulator.run(EndpointId.parse("fal-ai/flux/schnell"), body, "ana")
    url = f"https://v3b.fal.media{request.files[0].path}"
    source = files.picture(url, "bob")
    monkeypatch.setattr(inputs, "render", None)
    assert files.picture(url, "bob") is source


def test_a_result_that_is_too_large_is_not_rendered(
    emulator: Emulator, files: InputFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b'{"prompt": "a cat", "image_size": {"width": 14142, "height": 14142}}'
    request = emulator.run(EndpointId.parse("fal-ai/flux/schnell"), body, "ana")
    monkeypatch.setattr(inputs, "render", None)
    assert error_of(files, f"https://v3b.fal.media{request.files[0].path}") == ("image_load_error", {})
