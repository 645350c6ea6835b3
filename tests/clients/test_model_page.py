"""The samples of fal's page about flux/schnell, section by section, run as published.

The samples are in `node/page/`, unmodified. Like a reader, the tests replace YOUR_API_KEY and YOUR_FAL_KEY by a key and
the request id of the page by a real one. Without these replacements the samples fail as on fal: the key is rejected and
the request is unknown.
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
from tests.clients.programs import FOLDER, Node, run_program, tool
from tests.clients.test_python_client import AT_ONCE, SCHNELL, picture

PAGE = FOLDER / "page"
REQUEST_ON_THE_PAGE = "764cabcf-b745-4b3e-ae38-1200304cf45b"
NO_KEY = "Authentication is required to access this application."


def prompt_on_the_page() -> str:
    """The prompt of the samples."""
    line = next(line for line in sample("calling.mjs").splitlines() if "prompt:" in line)
    text: str = json.loads(line.partition(": ")[2])
    return text


def sample(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")


class Reader:
    """A user who copies samples into a project."""

    def __init__(self, node: Node, project: Path) -> None:
        self._node = node
        self._project = project
        (project / "node_modules").symlink_to(FOLDER / "node_modules")

    def runs(self, text: str, before: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program that begins with a sample, after the shell command `before`."""
        (self._project / "sample.mjs").write_text(text, encoding="utf-8")
        command = f"{before}\nexec {self._node.binary} sample.mjs"
        return run_program([tool("sh"), "-c", command], cwd=self._project)

    def output_of(self, text: str) -> str:
        """Run such a program successfully and return its output."""
        done = self.runs(text)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout


@pytest.fixture
def reader(node: Node, tmp_path: Path) -> Reader:
    return Reader(node, tmp_path)


@pytest.fixture
def one_reader(newest_node: Node, tmp_path: Path) -> Reader:
    """For samples that behave the same in all versions."""
    return Reader(newest_node, tmp_path)


# -- 1. Calling the API


def test_submit_a_request(reader: Reader, mock_fal: Account) -> None:
    output = reader.output_of(sample("calling.mjs"))
    assert "| 2/4 [" in output
    assert "url: 'https://v3b.fal.media/files/b/" in output
    assert output.splitlines()[-1] == mock_fal.requests[0].request_id
    assert mock_fal.requests[0].json == {"prompt": prompt_on_the_page()}


def test_set_up_your_api_key(one_reader: Reader, mock_fal: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAL_KEY")
    key = sample("key.sh").replace("YOUR_API_KEY", mock_fal.key)
    done = one_reader.runs(sample("calling.mjs"), before=key)
    assert (done.returncode, done.stderr) == (0, "")
    assert mock_fal.requests


def test_the_placeholder_your_api_key_is_not_a_key(one_reader: Reader, mock_fal: Account) -> None:
    done = one_reader.runs(sample("calling.mjs"), before=sample("key.sh"))
    assert done.returncode == 1
    assert "status: 401" in done.stderr and NO_KEY in done.stderr


# -- 2. Authentication


def test_set_the_key_as_a_client_configuration(
    reader: Reader, mock_fal: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FAL_KEY")
    configured = sample("authentication.mjs").replace("YOUR_FAL_KEY", mock_fal.key)
    reader.output_of(configured + 'await fal.run("fal-ai/flux/schnell", { input: { prompt: "a cat" } });\n')
    assert mock_fal.requests[0].status == 200


# -- 3. Queue


def test_submit_to_the_queue(reader: Reader, mock_fal: Account) -> None:
    """With a webhook to a host that does not exist; nothing leaves the machine."""
    output = reader.output_of(sample("submit.mjs") + "console.log(request_id);\n")
    assert output.strip() == mock_fal.requests[0].request_id
    webhook = {"fal_webhook": "https://optional.webhook.url/for/results"}
    assert dict(httpx.QueryParams(mock_fal.requests[0].query)) == webhook


def test_fetch_request_status(reader: Reader, mock_fal: Account) -> None:
    handle = fal_client.submit(SCHNELL, {"prompt": "a cat"})
    handle.get(interval=AT_ONCE)
    text = sample("status.mjs").replace(REQUEST_ON_THE_PAGE, handle.request_id)
    output = json.loads(reader.output_of(text + "console.log(JSON.stringify(status));\n"))
    assert (output["status"], output["request_id"]) == ("COMPLETED", handle.request_id)
    assert len(output["logs"]) == 4


def test_get_the_result(reader: Reader, mock_fal: Account) -> None:
    handle = fal_client.submit(SCHNELL, {"prompt": "a cat"})
    handle.get(interval=AT_ONCE)
    output = reader.output_of(sample("result.mjs").replace(REQUEST_ON_THE_PAGE, handle.request_id))
    assert "prompt: 'a cat'" in output
    assert output.splitlines()[-1] == handle.request_id


@pytest.mark.parametrize(
    ("name", "body"), [("status.mjs", "status: 'NOT_FOUND'"), ("result.mjs", "detail: 'Request not found'")]
)
def test_the_request_id_on_the_page_is_unknown(
    one_reader: Reader, mock_fal: Account, name: str, body: str
) -> None:
    done = one_reader.runs(sample(name))
    assert done.returncode == 1
    assert "status: 404" in done.stderr and body in done.stderr


# -- 4. Files

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


@pytest.mark.parametrize("url", [PIXEL, "https://example.com/photo.jpg"], ids=["data URI", "hosted"])
def test_an_input_may_have_a_file_url(mock_fal: Account, url: str) -> None:
    """Flux has no file input, so it ignores the field like any unknown field."""
    result = fal_client.subscribe(SCHNELL, {"prompt": "a cat", "image_url": url}, interval=AT_ONCE)
    assert picture(result)
    assert mock_fal.requests[0].json["image_url"] == url


def test_upload_a_file(reader: Reader, mock_fal: Account) -> None:
    url = reader.output_of(sample("upload.mjs") + "console.log(url);\n").strip()
    assert url.startswith("https://v3b.fal.media/files/b/") and url.endswith("_hello.txt")
    file = httpx.get(url)
    assert (file.text, file.headers["content-type"]) == ("Hello, World!", "text/plain")


def test_a_file_in_the_input_is_uploaded_automatically(reader: Reader, mock_fal: Account) -> None:
    text = (
        sample("upload.mjs")
        + 'const input = { prompt: "a cat", image_url: file, blobs: [new Blob(["blob"])] };\n'
        'await fal.subscribe("fal-ai/flux/schnell", { input, pollInterval: 1 });\n'
    )
    reader.output_of(text)
    (submitted,) = (exchange for exchange in mock_fal.requests if exchange.path == f"/{SCHNELL}")
    assert httpx.get(submitted.json["image_url"]).text == "Hello, World!"
    assert httpx.get(submitted.json["blobs"][0]).text == "blob"


# -- 5. Schema


def generate(**arguments: Any) -> dict[str, Any]:
    """The result for an input, which has only the documented fields."""
    result: dict[str, Any] = fal_client.run(SCHNELL, {"prompt": "a cat", **arguments})
    return result


def size(result: dict[str, Any]) -> tuple[int, int]:
    image = result["images"][0]
    return image["width"], image["height"]


def steps_logged(**arguments: Any) -> int:
    """The number of inference steps: the log has a line for each."""
    handle = fal_client.submit(SCHNELL, {"prompt": "a cat", **arguments})
    *_, done = handle.iter_events(with_logs=True, interval=AT_ONCE)
    assert isinstance(done, fal_client.Completed) and done.logs is not None
    return len(done.logs)


def test_the_prompt_is_the_only_required_field(mock_fal: Account) -> None:
    assert generate()["prompt"] == "a cat"
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
    assert size(generate(image_size=preset)) == pixels


def test_image_size_is_landscape_4_3_by_default(mock_fal: Account) -> None:
    assert size(generate()) == size(generate(image_size="landscape_4_3"))


def test_image_size_is_width_and_height(mock_fal: Account) -> None:
    custom = json.loads(f"{{{sample('image_size.txt')}}}")
    assert size(generate(**custom)) == (1280, 720)


def test_num_inference_steps_is_4_by_default(mock_fal: Account) -> None:
    assert (steps_logged(), steps_logged(num_inference_steps=9)) == (4, 9)


def test_the_same_seed_and_prompt_give_the_same_picture(mock_fal: Account) -> None:
    first, same, other = generate(seed=1), generate(seed=1), generate(seed=2)
    assert picture(first) == picture(same) != picture(other)
    assert (first["seed"], other["seed"]) == (1, 2)


def test_without_a_seed_the_result_has_the_one_that_was_used(mock_fal: Account) -> None:
    first = generate()
    assert picture(generate(seed=first["seed"])) == picture(first)
    assert generate()["seed"] != first["seed"]


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
def test_the_additional_fields_are_accepted(
    mock_fal: Account, field: str, default: Any, others: list[Any]
) -> None:
    results = [generate(**{field: value}, image_size="square") for value in (default, *others)]
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
        generate(**{field: value})
    assert {item["loc"][1] for item in caught.value.response.json()["detail"]} == {field}
