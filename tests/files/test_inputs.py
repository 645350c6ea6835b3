from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

import pytest
from PIL import Image

from mock_fal.accounts.acl import Acl, Decision, ObjectLifecycle
from mock_fal.clock import ManualClock
from mock_fal.emulation.emulator import Emulator
from mock_fal.endpoint import EndpointId
from mock_fal.errors import UnusableFile
from mock_fal.files import inputs
from mock_fal.files.inputs import Content, External, InputFiles
from mock_fal.media.probe import Probe
from mock_fal.media.recipe import MediaRecipe, OwnFile, Sound, Video
from mock_fal.media.render import render as render_media
from mock_fal.models.job import Media
from mock_fal.pictures.recipe import Recipe, Source
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
        files.content(url, account)
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
    source = files.content(uri, "ana")
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
    source = files.content(host + uploaded(emulator, png()), "bob")
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
    assert files.content(f"https://v3b.fal.media{path}", "ana")
    assert error_of(files, f"https://v3b.fal.media{path}", "bob") == ("file_download_error", {})


def test_files_of_other_hosts_are_not_fetched(files: InputFiles) -> None:
    assert files.content("https://example.com/cat.png", "ana") is None


def test_a_file_of_a_result_is_read(emulator: Emulator, files: InputFiles) -> None:
    body = b'{"prompt": "a cat", "image_size": {"width": 64, "height": 32}}'
    request = emulator.run(EndpointId.parse("fal-ai/flux/schnell"), body, "ana")
    source = files.content(f"https://v3b.fal.media{request.files[0].path}", "bob")
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
    assert files.content(first, "ana") is files.content(second, "ana")
    files.content(other, "ana")
    files.content(first, "ana")
    assert calls == [png(), png(9), png()]


def test_a_file_of_another_host_is_external(files: InputFiles) -> None:
    assert files.open("https://example.com/a.png", "ana") == External("https://example.com/a.png")


@pytest.mark.parametrize(
    "url", ["http://localhost:3000/a.png", "http://10.0.0.7/a.png", "https://minio/a.png"]
)
def test_a_file_in_a_private_network_can_not_be_downloaded(files: InputFiles, url: str) -> None:
    assert error_of(files, url) == ("file_download_error", {})


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
    source = files.content(url, "bob")
    monkeypatch.setattr(inputs, "render", None)
    assert files.content(url, "bob") is source


def test_a_result_that_is_too_large_is_not_rendered(
    emulator: Emulator, files: InputFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b'{"prompt": "a cat", "image_size": {"width": 14142, "height": 14142}}'
    request = emulator.run(EndpointId.parse("fal-ai/flux/schnell"), body, "ana")
    monkeypatch.setattr(inputs, "render", None)
    assert error_of(files, f"https://v3b.fal.media{request.files[0].path}") == ("image_load_error", {})


# -- videos, sounds and other files

SOUND = Sound("a cat", 1.5)
VIDEO = Video(Recipe("fal-ai/wan", "a cat", seed=7, width=64, height=48), 2)


def data_uri(data: bytes) -> str:
    return "data:application/octet-stream;base64," + base64.b64encode(data).decode()


def media_error_of(files: InputFiles, url: str, media: Media) -> str:
    with pytest.raises(UnusableFile) as caught:
        files.content(url, "ana", media)
    return caught.value.error_type


@pytest.mark.parametrize(
    ("recipe", "media", "expected"),
    [
        (SOUND, "audio", Probe("audio", "wav", 1.5)),
        (VIDEO, "video", Probe("video", "mp4", 2.0, 64, 48)),
        (VIDEO, "audio", Probe("video", "mp4", 2.0, 64, 48)),
        (replace(VIDEO, format="gif"), "video", Probe("image", "gif", 2.0, 64, 48)),
        (SOUND, "other", Probe("other", "")),
    ],
)
def test_what_is_known_of_a_file_is_read_from_it(
    files: InputFiles, recipe: MediaRecipe, media: Media, expected: Probe
) -> None:
    data = render_media(recipe)
    assert files.content(data_uri(data), "ana", media) == replace(expected, digest=sha256(data).hexdigest())


@pytest.mark.parametrize("media", ["video", "audio", "other"])
def test_an_uploaded_video_is_known_by_its_content(
    emulator: Emulator, files: InputFiles, media: Media
) -> None:
    data = [render_media(video) for video in (VIDEO, VIDEO, replace(VIDEO, duration_s=3))]
    one, two, other = (
        files.content(f"https://v3b.fal.media{uploaded(emulator, file)}", "ana", media) for file in data
    )
    assert one == two != other


@pytest.mark.parametrize(
    ("data", "media", "error_type"),
    [
        (b"no media", "video", "unsupported_video_format"),
        (b"no media", "audio", "unsupported_audio_format"),
        (png(), "video", "unsupported_video_format"),
        (render_media(SOUND), "video", "unsupported_video_format"),
        (png(), "audio", "unsupported_audio_format"),
        (render_media(VIDEO), "image", "image_load_error"),
    ],
)
def test_a_file_of_another_kind_is_an_error(
    files: InputFiles, data: bytes, media: Media, error_type: str
) -> None:
    assert media_error_of(files, data_uri(data), media) == error_type


@pytest.mark.parametrize("media", ["video", "audio", "other"])
def test_a_file_that_can_not_be_read_is_an_error(files: InputFiles, media: Media) -> None:
    assert media_error_of(files, "https://v3b.fal.media/files/b/none.mp4", media) == "file_download_error"
    assert media_error_of(files, "data:video/mp4;base64,!", media) == "file_download_error"
    assert media_error_of(files, "http://[", media) == "file_download_error"
    assert media_error_of(files, "", media) == "file_download_error"


def test_a_name_that_is_no_url_may_stand_for_another_file(files: InputFiles) -> None:
    one, two = (files.content(name, "ana", "other") for name in ("user/lora", "user/other-lora"))
    assert isinstance(one, Probe) and one.kind == "other" and one != two
    assert media_error_of(files, "user/lora", "video") == "file_download_error"


@pytest.mark.parametrize("media", ["video", "audio", "other"])
def test_a_file_of_any_kind_on_another_host_is_not_fetched(files: InputFiles, media: Media) -> None:
    assert files.content("https://example.com/a.mp4", "ana", media) is None


def test_a_video_may_be_larger_than_a_picture(
    emulator: Emulator, files: InputFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = render_media(VIDEO)
    monkeypatch.setattr(inputs, "MAX_BYTES", 20)
    url = f"https://v3b.fal.media{uploaded(emulator, data)}"
    assert files.content(url, "ana", "video")
    monkeypatch.setattr(inputs, "MAX_MEDIA_BYTES", 20)
    for named in (url, data_uri(data)):
        assert media_error_of(files, named, "video") == "file_too_large"
    assert files.content(url, "ana", "other")  # only has to exist


def test_a_video_of_a_result_is_known_without_rendering(
    emulator: Emulator, files: InputFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = emulator.run(EndpointId.parse("fal-ai/flux/schnell"), b'{"prompt": "a cat"}', "ana")
    (stored,) = emulator.store.files.values()
    url = f"https://v3b.fal.media{request.files[0].path}"
    monkeypatch.setattr(inputs, "render", None)
    found: list[Content | None] = []
    for recipe in (VIDEO, SOUND, OwnFile(render_media(SOUND), "digest", "audio/wav", "wav")):
        stored.file = replace(stored.file, recipe=recipe)
        found.append(files.content(url, "ana", "audio"))
    video, sound, own = found
    assert isinstance(video, Probe) and (video.duration_s, video.width) == (2.0, 64)
    assert isinstance(sound, Probe) and isinstance(own, Probe) and sound.duration_s == own.duration_s == 1.5
    assert video.digest and sound.digest and own.digest
    assert media_error_of(files, url, "video") == "unsupported_video_format"
    stored.file = replace(stored.file, recipe=SOUND)
    assert error_of(files, url)[0] == "unsupported_image_format"
    assert files.content(url, "ana", "other")


def test_a_picture_of_a_result_is_read_from_a_small_copy(files: InputFiles) -> None:
    first = files.of_result(Recipe("e", "a cat", 1, 4000, 2000), "image")
    assert isinstance(first, Source)
    second = files.of_result(Recipe("e", "a dog", 1, 10, 20), "image", first)
    assert isinstance(second, Source)
    assert ((first.width, first.height), (second.width, second.height)) == ((4000, 2000), (10, 20))
    assert first.tones == second.tones
    assert first.digest != second.digest


def test_other_media_of_a_result_are_described(files: InputFiles) -> None:
    sound = files.of_result(Sound("a cat", duration_s=2, format="mp3"), "audio")
    assert isinstance(sound, Probe)
    assert sound.duration_s == 2
    with pytest.raises(UnusableFile):
        files.of_result(Sound("a cat", duration_s=2, format="mp3"), "image")
