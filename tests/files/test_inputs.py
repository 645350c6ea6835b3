from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import pytest
from PIL import Image

from mock_fal.accounts.acl import Acl, Decision, Terms
from mock_fal.clock import ManualClock
from mock_fal.emulator import Emulator
from mock_fal.endpoint import EndpointId
from mock_fal.errors import UnusableFile
from mock_fal.files import inputs
from mock_fal.files.inputs import Inputs
from mock_fal.pictures.recipe import Source
from mock_fal.pictures.render import look
from mock_fal.settings import Settings

PUBLIC = Terms()


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
def files(emulator: Emulator) -> Inputs:
    return Inputs(emulator.storage)


def uploaded(emulator: Emulator, data: bytes, terms: Terms = PUBLIC) -> str:
    """The path of a file of Ana's."""
    upload = emulator.storage.promise("ana", "a.png", "image/png", terms)
    writer = emulator.storage.begin(upload, 0)
    writer.reserve(len(data))
    writer.write([data])
    emulator.storage.keep(writer)
    return upload.path


def refusal(files: Inputs, url: str, account: str = "ana") -> tuple[str, dict[str, object]]:
    with pytest.raises(UnusableFile) as refused:
        files.picture(url, account)
    return refused.value.error_type, refused.value.ctx


@pytest.mark.parametrize(
    "uri",
    [
        "data:image/png;base64," + base64.b64encode(png()).decode(),
        "DATA:;BASE64," + base64.b64encode(png()).decode().replace("=", "%3D"),
        "data:image/png," + "".join(f"%{byte:02x}" for byte in png()),
    ],
)
def test_a_data_uri_is_read(files: Inputs, uri: str) -> None:
    source = files.picture(uri, "ana")
    assert source and (source.width, source.height) == (8, 6)


@pytest.mark.parametrize(
    "uri", ["data:", "data:image/png;base64", "data:;base64,###", "data:,x", "data:,\ud800"]
)
def test_a_data_uri_that_holds_no_picture_is_refused(files: Inputs, uri: str) -> None:
    assert refusal(files, uri) == ("image_load_error", {})


@pytest.mark.parametrize(
    "host", ["https://v3b.fal.media", "https://fal.media", "http://10.0.0.7:8325/v3.fal.media"]
)
def test_an_upload_is_read_by_any_of_its_addresses(emulator: Emulator, files: Inputs, host: str) -> None:
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
def test_what_is_not_there_can_not_be_downloaded(files: Inputs, url: str) -> None:
    assert refusal(files, url) == ("file_download_error", {})


def test_what_is_restricted_is_read_for_who_may(emulator: Emulator, files: Inputs) -> None:
    path = uploaded(emulator, png(), Terms(acl=Acl(Decision.HIDE)))
    assert files.picture(f"https://v3b.fal.media{path}", "ana")
    assert refusal(files, f"https://v3b.fal.media{path}", "bob") == ("file_download_error", {})


def test_files_of_others_are_not_fetched(files: Inputs) -> None:
    assert files.picture("https://example.com/cat.png", "ana") is None


def test_a_result_is_read(emulator: Emulator, files: Inputs) -> None:
    body = b'{"prompt": "a cat", "image_size": {"width": 64, "height": 32}}'
    request = emulator.run(EndpointId.parse("fal-ai/flux/schnell"), body, "ana")
    source = files.picture(f"https://v3b.fal.media{request.files[0].path}", "bob")
    assert source and (source.width, source.height) == (64, 32)


def test_a_file_may_be_too_large(emulator: Emulator, files: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "MAX_BYTES", 20)
    url = f"https://v3b.fal.media{uploaded(emulator, png())}"
    assert refusal(files, url) == ("file_too_large", {"max_size": 20})
    assert refusal(files, "data:," + "x" * 21) == ("file_too_large", {"max_size": 20})


def test_a_picture_is_looked_at_once(
    emulator: Emulator, files: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bytes] = []

    def noted(data: bytes) -> Source:
        looks.append(data)
        return look(data)

    monkeypatch.setattr(inputs, "look", noted)
    monkeypatch.setattr(inputs, "_KEPT", 1)
    first, second = (f"https://v3b.fal.media{uploaded(emulator, png())}" for _ in range(2))
    other = f"https://v3b.fal.media{uploaded(emulator, png(9))}"
    assert files.picture(first, "ana") is files.picture(second, "ana")
    files.picture(other, "ana")
    files.picture(first, "ana")
    assert looks == [png(), png(9), png()]


def test_the_addresses_to_fetch_are_those_of_other_hosts(files: Inputs) -> None:
    ours, theirs = "https://v3b.fal.media/files/b/0/a.png", ["https://example.com/a.png", "http://10.0.0.1/b"]
    assert (
        files.foreign({"image_url": theirs[0], "image_urls": [ours, theirs[1], 5, "data:,", "http://["]})
        == theirs
    )
    assert files.foreign({"prompt": theirs[0], "image_url": None, "image_urls": None}) == []
    assert files.foreign([theirs[0]]) == []


def test_what_was_fetched_is_looked_at(files: Inputs) -> None:
    files.learn("https://example.com/a.png", png(8, 6))
    seen = files.picture("https://example.com/a.png", "ana")
    assert seen is not None and (seen.width, seen.height) == (8, 6)


def test_what_could_not_be_fetched_can_not_be_used(files: Inputs) -> None:
    files.learn("https://example.com/gone.png", None)
    assert refusal(files, "https://example.com/gone.png") == ("file_download_error", {})
    files.learn("https://example.com/a.txt", b"no picture")
    assert refusal(files, "https://example.com/a.txt")[0] == "image_load_error"


def test_of_what_was_fetched_little_is_kept(files: Inputs) -> None:
    for number in range(5):
        files.learn(f"https://example.com/{number}.png", png())
    assert files.picture("https://example.com/0.png", "ana") is None
    assert files.picture("https://example.com/4.png", "ana") is not None
