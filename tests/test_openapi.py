"""The documents in `openapi/`: good OpenAPI, with examples that fit, as many routes as the server, and in the wheel."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate

from mock_fal.errors import MODEL_ERRORS, REQUEST_ERRORS
from mock_fal.models import openapi
from mock_fal.models.catalog import Catalog
from mock_fal.web import kv, queue, rest
from mock_fal.web.control import api as control
from mock_fal.web.control.spec import NAMES
from mock_fal.web.platform import api as platform
from mock_fal.web.platform import site
from mock_fal.web.uploads import Uploads
from tests.clients.programs import NODES, SETUP, Node, missing, run_program
from tests.specs import FOLDER, SPECS, Operation, Place, Spec, event_faults, spec

ROOT = FOLDER.parent
OPERATIONS = [operation for name in SPECS for operation in spec(name).operations]
FALS = [operation for operation in OPERATIONS if operation.spec.name != "control"]
MARKS = ("documented", "observed", "client", "assumption")


# -- as OpenAPI


def test_there_is_a_document_for_every_plane() -> None:
    assert sorted(NAMES) == SPECS


@pytest.mark.parametrize("name", SPECS)
def test_a_document_is_valid(name: str) -> None:
    validate(spec(name).document)


def test_a_linter_finds_nothing() -> None:
    node = Node(NODES[-1])
    linter = ROOT / "tests/clients/node/node_modules/@redocly/cli/bin/cli.js"
    if not linter.exists():
        missing(f"no linter; set up by: {SETUP}")
    files = [f"{name}.yaml" for name in SPECS]
    done = run_program(
        [str(node.binary), str(linter), "lint", "--config=redocly.yaml", "--format=json", *files],
        env={**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"},
        cwd=FOLDER,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count('"problems": []') == len(SPECS), done.stdout


def test_operations_have_names_of_their_own() -> None:
    names = [operation.name for operation in OPERATIONS]
    assert len(set(names)) == len(names)


# -- what a document says of itself


def places(place: Place) -> Iterator[Place]:
    """Everything that a document holds, each thing once."""
    yield place
    keys = place.value if isinstance(place.value, dict) else range(len(place.value))
    for key in keys:
        if isinstance(place.value[key], dict | list) and "$ref" not in place.value[key]:
            yield from places(place[key])


def exemplified(place: Place) -> Iterator[tuple[str, Any]]:
    """The examples that stand beside a schema, each with its place."""
    if "example" in place:
        yield f"{place.pointer}/example", place["example"].value
    if isinstance(place.get("examples").value, dict):
        for name, example in place.get("examples").items():
            yield f"{place.pointer}/examples/{name}", example["value"].value


EXAMPLES = [
    pytest.param(place, value, id=f"{name}#{pointer}")
    for name in SPECS
    for place in places(spec(name).root)
    if isinstance(place.value, dict) and "schema" in place
    for pointer, value in exemplified(place)
]


@pytest.mark.parametrize(("place", "value"), EXAMPLES)
def test_an_example_fits_its_schema(place: Place, value: Any) -> None:
    assert place.spec.errors(place["schema"], value) == []
    if place.pointer.endswith("/text~1event-stream"):
        assert event_faults(place, value) == []


@pytest.mark.parametrize("name", SPECS)
def test_a_default_fits_its_schema(name: str) -> None:
    schemas = [
        place
        for place in places(spec(name).root)
        if "default" in place and {"type", "anyOf"} & place.value.keys()
    ]
    assert [place.spec.errors(place, place["default"].value) for place in schemas] == [[] for _ in schemas]


@pytest.mark.parametrize("operation", FALS, ids=str)
def test_an_operation_and_its_answers_say_how_they_are_known(operation: Operation) -> None:
    assert operation.node["x-confidence"].value in MARKS
    assert operation.node["description"].value
    for status, said in operation.responses.items():
        known = said.value.get("x-confidence")
        assert known in MARKS or said.value.get("x-mock-fal") is True, status


@pytest.mark.parametrize("name", SPECS)
def test_marks_are_those_of_the_readme(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text()
    assert set(re.findall(r"x-confidence: (\w+)", text)) <= set(MARKS)
    readme = (FOLDER / "README.md").read_text()
    assert all(f"| `{mark}` |" in readme for mark in MARKS) and f"| `{name}.yaml` |" in readme


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_links_name_operations_and_their_parameters(operation: Operation) -> None:
    for said in operation.responses.values():
        for _, link in said.get("links").items():
            target = operation.spec.operation(link["operationId"].value)
            known = {each["name"].value for each in target.parameters}
            assert set(link.get("parameters").value) <= known
        for step in said.value.get("x-next", []):
            document, _, name = step["operation"].rpartition("#")
            assert spec(document.removesuffix(".yaml") or operation.spec.name).operation(name)


def test_what_two_documents_have_is_the_same_in_both() -> None:
    """Files stand alone, so they repeat each other; a change has to be made in each."""
    seen: dict[str, tuple[str, Any]] = {}
    for name in SPECS:
        for kind, parts in spec(name).document.get("components", {}).items():
            if kind in ("schemas", "examples"):
                for part, value in parts.items():
                    first, known = seen.setdefault(f"{kind}/{part}", (name, value))
                    assert value == known, f"{kind}/{part} of {name}.yaml and of {first}.yaml"


def test_a_document_mentions_no_place_that_readers_have_not() -> None:
    assert not re.search(
        r"protocol\.md|/work/|shared/", "".join(path.read_text() for path in FOLDER.glob("*.*"))
    )


# -- beside the code


def template(path: str) -> str:
    """A path with its names left out, as it is compared."""
    return re.sub(r"{[^}]*}", "{}", path).rstrip("/")


def described(name: str) -> set[tuple[str, str]]:
    """The methods and paths of a document."""
    return {(operation.method.upper(), template(operation.path)) for operation in spec(name).operations}


def test_the_routes_of_the_rest_host_are_described() -> None:
    routes = {(method, f"/{path}") for path, methods in rest._ROUTES.items() for method in methods}
    assert described("rest") == routes


def test_the_routes_of_the_key_value_host_are_described() -> None:
    assert described("kv") == {(method, f"/{verb}/{{}}/{{}}") for verb, method in kv.METHODS.items()}


def test_the_routes_of_the_control_api_are_described() -> None:
    routes = {(method, template(path)) for path, methods in control.ROUTES.items() for method in methods}
    assert described("control") == routes


def test_the_routes_of_the_platform_are_described() -> None:
    routes = {(method, f"/{path}") for method, path in platform._ROUTES}
    assert described("platform") == routes | {("GET", site._DOCUMENT), ("GET", site._LISTING)}


def test_the_routes_of_the_queue_are_described() -> None:
    asked = {
        (method, f"/{{}}/{{}}/requests/{{}}{'/' if tail else ''}{tail or ''}")
        for tail, (method, *_) in queue._ROUTES.items()
    }
    submitted = {
        ("POST", path) for path in ("/{}/{}", "/{}/{}/{}", "/fal-ai/flux/schnell", "/fal-ai/flux/dev")
    }
    assert described("queue") == asked | submitted
    for operation in spec("queue").operations:
        is_a_submission = queue.match_route(operation.path) is None
        assert is_a_submission == operation.name.startswith("submit")


def test_the_routes_of_the_media_host_are_described() -> None:
    """Its routes for what comes in are the cases of a match statement; all else is read."""
    reading = {("GET", "/files/{}/{}/{}"), ("HEAD", "/files/{}/{}/{}")}
    spelt = {(method, path.replace("/files/b/", "/files/{}/")) for method, path in described("media")}
    assert spelt == reading | set(_cases())


def _cases() -> Iterator[tuple[str, str]]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(Uploads.route)))
    for case in (node for node in ast.walk(tree) if isinstance(node, ast.match_case)):
        pattern = case.pattern
        assert isinstance(pattern, ast.MatchSequence)
        method, path = pattern.patterns
        assert isinstance(path, ast.MatchSequence)
        yield _word(method), "/" + "/".join(map(_word, path.patterns))


def _word(pattern: ast.pattern) -> str:
    return str(ast.literal_eval(pattern.value)) if isinstance(pattern, ast.MatchValue) else "{}"


def test_the_types_of_errors_are_those_of_the_code() -> None:
    schemas = spec("queue").document["components"]["schemas"]
    assert schemas["RequestErrorType"]["enum"] == list(REQUEST_ERRORS)
    assert schemas["TypedItem"]["properties"]["type"]["enum"][: len(MODEL_ERRORS)] == list(MODEL_ERRORS)


LIMITS = ("type", "minimum", "maximum", "enum", "default")


@pytest.mark.parametrize("model", ["schnell", "dev"])
def test_the_inputs_of_flux_are_those_that_the_server_publishes(model: str) -> None:
    name = f"Flux{model.title()}Input"
    row = Catalog().find(f"fal-ai/flux/{model}")
    assert row is not None
    published = openapi.document(row)["components"]["schemas"][name]
    ours = spec("run").document["components"]["schemas"][name]
    assert ours["x-fal-order-properties"] == list(ours["properties"]) == published["x-fal-order-properties"]
    assert ours["required"] == published["required"]
    for field, its in ours["properties"].items():
        if field not in ("image_size", "seed"):  # 3.0.4 says otherwise what may be one of two things
            theirs = published["properties"][field]
            assert {key: its[key] for key in LIMITS if key in its} == {
                key: theirs[key] for key in LIMITS if key in theirs
            }


# -- in the wheel


def test_the_wheel_has_the_documents_the_inspector_and_the_catalogue(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in SPECS:
            assert archive.read(f"mock_fal/openapi/{name}.yaml") == (FOLDER / f"{name}.yaml").read_bytes()
        page = ROOT / "mock_fal/web/inspector"
        for file in (path for path in page.rglob("*") if path.is_file()):
            assert archive.read(f"mock_fal/web/inspector/{file.relative_to(page)}") == file.read_bytes()
        assert (page / "index.html").exists()
        for name in ("catalogue.zip", "CATALOGUE.md"):
            file = ROOT / "mock_fal/models" / name
            assert archive.read(f"mock_fal/models/{name}") == file.read_bytes()


# -- the helper: what does not fit is seen


def test_an_answer_that_does_not_fit_is_seen() -> None:
    operation = spec("queue").operation("status")
    asked = httpx.Request("GET", "https://queue.fal.run")
    good = {"x-fal-request-id": "id", "content-type": "application/json"}

    def faults(status: int, body: str, headers: dict[str, str]) -> list[str]:
        return operation.faults(httpx.Response(status, headers=headers, text=body, request=asked))

    unknown = '{"status":"NOT_FOUND"}'
    assert faults(404, unknown, good) == []
    assert "status 418 is not among" in faults(418, unknown, good)[0]
    assert faults(404, unknown, {"content-type": "application/json"}) == ["no header x-fal-request-id"]
    assert faults(404, unknown, {**good, "content-type": "text/plain"}) == [
        "content type 'text/plain', expected application/json"
    ]
    assert faults(404, '{"status":"OK"}', good) == ["$.status: 'NOT_FOUND' was expected"]


def test_a_schema_refuses_what_is_other() -> None:
    document: Spec = spec("queue")
    schema = document.root["components"]["schemas"]["Status"]
    seen = document.root["components"]["examples"]["Queued"]["value"].value
    assert document.errors(schema, seen) == []
    assert document.errors(schema, {**seen, "status": "FAILED"})
    assert document.errors(schema, {key: value for key, value in seen.items() if key != "queue_position"})
