"""fal's page of the model flux/schnell, section by section: each sample in it, run as it is written there.

The samples are the files of `node/page/`, word for word. A reader puts a key in the place of YOUR_API_KEY and
YOUR_FAL_KEY, and the id of a request in the place of the one that the page shows; so do these tests. What the page's
own words come to is shown too: without a key no access, and nobody knows that request, as on fal itself.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import fal_client
import httpx
import pytest

from mock_fal import Account
from tests.clients.programs import FOLDER, Node, finished, tool
from tests.clients.test_python_client import AT_ONCE, SCHNELL, picture

PAGE = FOLDER / "page"
REQUEST_ON_THE_PAGE = "764cabcf-b745-4b3e-ae38-1200304cf45b"
NOBODY = "Authentication is required to access this application."


def prompt_on_the_page() -> str:
    """What the samples draw."""
    line = next(line for line in sample("calling.mjs").splitlines() if "prompt:" in line)
    text: str = json.loads(line.partition(": ")[2])
    return text


def sample(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")


class Reader:
    """Somebody who copies samples into a project of their own."""

    def __init__(self, node: Node, project: Path) -> None:
        self._node = node
        self._project = project
        (project / "node_modules").symlink_to(FOLDER / "node_modules")

    def runs(self, text: str, before: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program that begins with a sample, from a shell that has just been told `before`."""
        (self._project / "sample.mjs").write_text(text, encoding="utf-8")
        command = f"{before}\nexec {self._node.binary} sample.mjs"
        return finished([tool("sh"), "-c", command], cwd=self._project)

    def sees(self, text: str) -> str:
        """What such a program prints; it has to succeed."""
        done = self.runs(text)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout


@pytest.fixture
def reader(node: Node, tmp_path: Path) -> Reader:
    return Reader(node, tmp_path)


@pytest.fixture
def one_reader(newest_node: Node, tmp_path: Path) -> Reader:
    """For what is the same in all three."""
    return Reader(newest_node, tmp_path)


# -- 1. Calling the API


def test_submit_a_request(reader: Reader, mock_fal: Account) -> None:
    seen = reader.sees(sample("calling.mjs"))
    assert "| 2/4 [" in seen
    assert "url: 'https://v3b.fal.media/files/b/" in seen
    assert seen.splitlines()[-1] == mock_fal.requests[0].request_id
    assert mock_fal.requests[0].json == {"prompt": prompt_on_the_page()}


def test_set_up_your_api_key(one_reader: Reader, mock_fal: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAL_KEY")
    key = sample("key.sh").replace("YOUR_API_KEY", mock_fal.key)
    done = one_reader.runs(sample("calling.mjs"), before=key)
    assert (done.returncode, done.stderr) == (0, "")
    assert mock_fal.requests


def test_the_words_your_api_key_are_no_key(one_reader: Reader, mock_fal: Account) -> None:
    done = one_reader.runs(sample("calling.mjs"), before=sample("key.sh"))
    assert done.returncode == 1
    assert "status: 401" in done.stderr and NOBODY in done.stderr


# -- 2. Authentication


def test_set_the_key_as_a_client_configuration(
    reader: Reader, mock_fal: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FAL_KEY")
    configured = sample("authentication.mjs").replace("YOUR_FAL_KEY", mock_fal.key)
    reader.sees(configured + 'await fal.run("fal-ai/flux/schnell", { input: { prompt: "a cat" } });\n')
    assert mock_fal.requests[0].status == 200


# -- 3. Queue


def test_submit_to_the_queue(reader: Reader, mock_fal: Account) -> None:
    """With a webhook at an address that does not exist; nothing leaves the machine."""
    seen = reader.sees(sample("submit.mjs") + "console.log(request_id);\n")
    assert seen.strip() == mock_fal.requests[0].request_id
    webhook = {"fal_webhook": "https://optional.webhook.url/for/results"}
    assert dict(httpx.QueryParams(mock_fal.requests[0].query)) == webhook


def test_fetch_request_status(reader: Reader, mock_fal: Account) -> None:
    handle = fal_client.submit(SCHNELL, {"prompt": "a cat"})
    handle.get(interval=AT_ONCE)
    text = sample("status.mjs").replace(REQUEST_ON_THE_PAGE, handle.request_id)
    seen = json.loads(reader.sees(text + "console.log(JSON.stringify(status));\n"))
    assert (seen["status"], seen["request_id"]) == ("COMPLETED", handle.request_id)
    assert len(seen["logs"]) == 4


def test_get_the_result(reader: Reader, mock_fal: Account) -> None:
    handle = fal_client.submit(SCHNELL, {"prompt": "a cat"})
    handle.get(interval=AT_ONCE)
    seen = reader.sees(sample("result.mjs").replace(REQUEST_ON_THE_PAGE, handle.request_id))
    assert "prompt: 'a cat'" in seen
    assert seen.splitlines()[-1] == handle.request_id


@pytest.mark.parametrize(
    ("name", "body"), [("status.mjs", "status: 'NOT_FOUND'"), ("result.mjs", "detail: 'Request not found'")]
)
def test_nobody_knows_the_request_that_the_page_shows(
    one_reader: Reader, mock_fal: Account, name: str, body: str
) -> None:
    done = one_reader.runs(sample(name))
    assert done.returncode == 1
    assert "status: 404" in done.stderr and body in done.stderr


# -- 4. Files

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


@pytest.mark.parametrize("url", [PIXEL, "https://example.com/photo.jpg"], ids=["data URI", "hosted"])
def test_a_file_is_given_by_its_url(mock_fal: Account, url: str) -> None:
    """Flux has no input that is a file: it takes one and looks past it, as it does with all it doesn't know."""
    result = fal_client.subscribe(SCHNELL, {"prompt": "a cat", "image_url": url}, interval=AT_ONCE)
    assert picture(result)
    assert mock_fal.requests[0].json["image_url"] == url


def test_upload_a_file(reader: Reader, mock_fal: Account) -> None:
    url = reader.sees(sample("upload.mjs") + "console.log(url);\n").strip()
    assert url.startswith("https://v3b.fal.media/files/b/") and url.endswith("_hello.txt")
    file = httpx.get(url)
    assert (file.text, file.headers["content-type"]) == ("Hello, World!", "text/plain")


def test_a_file_in_the_input_is_uploaded_by_itself(reader: Reader, mock_fal: Account) -> None:
    text = (
        sample("upload.mjs")
        + 'const input = { prompt: "a cat", image_url: file, blobs: [new Blob(["blob"])] };\n'
        'await fal.subscribe("fal-ai/flux/schnell", { input, pollInterval: 1 });\n'
    )
    reader.sees(text)
    (submitted,) = (each for each in mock_fal.requests if each.path == f"/{SCHNELL}")
    assert httpx.get(submitted.json["image_url"]).text == "Hello, World!"
    assert httpx.get(submitted.json["blobs"][0]).text == "blob"


# -- 5. Schema


def drawn(**arguments: Any) -> dict[str, Any]:
    """The result for an input, and nothing in it that the page does not tell."""
    result: dict[str, Any] = fal_client.run(SCHNELL, {"prompt": "a cat", **arguments})
    return result


def size(result: dict[str, Any]) -> tuple[int, int]:
    image = result["images"][0]
    return image["width"], image["height"]


def steps_logged(**arguments: Any) -> int:
    """How many steps a request took: its log has a line for each."""
    handle = fal_client.submit(SCHNELL, {"prompt": "a cat", **arguments})
    *_, done = handle.iter_events(with_logs=True, interval=AT_ONCE)
    assert isinstance(done, fal_client.Completed) and done.logs is not None
    return len(done.logs)


def test_the_prompt_is_the_only_field_that_must_be_there(mock_fal: Account) -> None:
    assert drawn()["prompt"] == "a cat"
    with pytest.raises(fal_client.FalClientHTTPError, match="Field required"):
        fal_client.run(SCHNELL, {"seed": 1})


@pytest.mark.parametrize(
    ("preset", "pixels"),
    [
        ("square_hd", (1024, 1024)),
        ("square", (512, 512)),
        ("portrait_4_3", (768, 1024)),
        ("portrait_16_9", (576, 1024)),
        ("landscape_4_3", (1024, 768)),
        ("landscape_16_9", (1024, 576)),
    ],
)
def test_image_size_is_one_of_six(mock_fal: Account, preset: str, pixels: tuple[int, int]) -> None:
    assert size(drawn(image_size=preset)) == pixels


def test_image_size_is_landscape_4_3_by_default(mock_fal: Account) -> None:
    assert size(drawn()) == size(drawn(image_size="landscape_4_3"))


def test_image_size_is_width_and_height(mock_fal: Account) -> None:
    custom = json.loads(f"{{{sample('image_size.txt')}}}")
    assert size(drawn(**custom)) == (1280, 720)


def test_num_inference_steps_is_4_by_default(mock_fal: Account) -> None:
    assert (steps_logged(), steps_logged(num_inference_steps=9)) == (4, 9)


def test_the_same_seed_and_prompt_give_the_same_picture(mock_fal: Account) -> None:
    first, again, other = drawn(seed=1), drawn(seed=1), drawn(seed=2)
    assert picture(first) == picture(again) != picture(other)
    assert (first["seed"], other["seed"]) == (1, 2)


def test_without_a_seed_the_result_tells_which_it_was(mock_fal: Account) -> None:
    first = drawn()
    assert picture(drawn(seed=first["seed"])) == picture(first)
    assert drawn()["seed"] != first["seed"]


@pytest.mark.parametrize(
    ("field", "default", "others"),
    [
        ("guidance_scale", 3.5, [1, 20, "7"]),
        ("sync_mode", False, [True]),
        ("num_images", 1, [4]),
        ("enable_safety_checker", True, [False]),
        ("output_format", "jpeg", ["png"]),
        ("acceleration", "none", ["regular", "high"]),
    ],
)
def test_the_fields_below_the_fold_are_taken(
    mock_fal: Account, field: str, default: Any, others: list[Any]
) -> None:
    results = [drawn(**{field: value}, image_size="square") for value in (default, *others)]
    assert all(result["images"] for result in results)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", None),
        ("image_size", "huge"),
        ("image_size", {"width": 0, "height": 720}),
        ("num_inference_steps", 13),
        ("seed", 1.5),
        ("guidance_scale", 21),
        ("num_images", 5),
        ("output_format", "webp"),
        ("acceleration", "ludicrous"),
    ],
)
def test_every_field_has_its_limits(mock_fal: Account, field: str, value: Any) -> None:
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        drawn(**{field: value})
    assert {item["loc"][1] for item in caught.value.response.json()["detail"]} == {field}
