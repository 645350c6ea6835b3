"""`mock-fal models`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mock_fal.cli import main
from mock_fal.models.catalog import Catalog
from tests.models.test_documents import ID, document

Output = pytest.CaptureFixture[str]


def printed(capsys: Output, *arguments: str) -> str:
    assert main(["models", *arguments]) == 0
    return capsys.readouterr().out


def failed(capsys: Output, *arguments: str) -> str:
    assert main(["models", *arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file with one document."""
    path = tmp_path / "document.json"
    path.write_text(json.dumps(document({"properties": {"prompt": {"type": "string"}}})))
    return path


def test_all_endpoints_are_listed(capsys: Output) -> None:
    assert main(["models"]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == list(Catalog().ids())
    assert err == f"mock-fal: {len(Catalog().ids())} endpoints\n"


def test_a_search_has_all_words_in_id_category_or_title(capsys: Output) -> None:
    [line] = printed(capsys, "--search", "FLUX schnell redux", "--category", "image-to-image").splitlines()[
        :1
    ]
    assert line.split()[:2] == ["fal-ai/flux-1/schnell/redux", "image-to-image"]


def test_a_category_is_one_of_the_known(capsys: Output) -> None:
    assert "--category: 'x': expected one of 3d-to-3d, " in failed(capsys, "--category", "x")


def test_one_endpoint_is_shown(capsys: Output) -> None:
    text = printed(capsys, "show", "fal-ai/flux/schnell")
    assert "| `num_inference_steps` | integer | `4` | 1 to 12 |" in text
    assert 'fal_client.subscribe("fal-ai/flux/schnell"' in text


def test_an_unknown_endpoint_has_a_hint(capsys: Output) -> None:
    line = failed(capsys, "show", "fal-ai/flux/schnel")
    assert line.startswith(
        "mock-fal: models show: unknown endpoint fal-ai/flux/schnel; did you mean fal-ai/flux/"
    )


def test_a_file_adds_endpoints(capsys: Output, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ID in printed(capsys, "--models", str(source))
    assert ID in printed(capsys, "show", ID, "--models", str(source))
    monkeypatch.setenv("MOCK_FAL_MODELS", str(source))
    assert ID in printed(capsys, "--search", "my-app")


def test_an_imported_file_is_one_for_models(capsys: Output, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "imported.json"
    assert main(["models", "import", str(source), "-o", str(target)]) == 0
    assert capsys.readouterr().err == f"mock-fal: 1 endpoint written to {target}; use them with --models\n"
    assert Catalog([str(target)]).find(ID) is not None
    assert printed(capsys, "import", str(source)) == target.read_text()


@pytest.mark.parametrize(
    ("name", "message"),
    [("nope.json", "No such file or directory"), (".", "it is not a regular file"), ("bad.json", "not JSON")],
)
def test_a_file_that_can_not_be_imported_is_one_line(
    capsys: Output, tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "bad.json").write_text("{")
    line = failed(capsys, "import", str(tmp_path / name))
    assert line.startswith("mock-fal: models import: ") and message in line


def test_a_target_that_can_not_be_written_is_one_line(capsys: Output, source: Path) -> None:
    assert "can't write /nope/x: " in failed(capsys, "import", str(source), "-o", "/nope/x")


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://example.com/a.json", "data://x"])
def test_only_http_is_downloaded(capsys: Output, url: str) -> None:
    assert failed(capsys, "import", url) == f"mock-fal: {url}: expected a URL with http or https"


def test_a_reader_that_goes_away_gets_no_traceback() -> None:
    script = f"set -o pipefail; {sys.executable} -m mock_fal models | head -1"
    run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in run.stderr
    assert run.stdout.count("\n") == 1
