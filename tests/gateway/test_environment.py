"""The environment variables of `mock-fal run`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mock_fal.gateway.environment import UNSET, environment, upstream, user_roots
from mock_fal.hosts import EMULATED_HOSTS
from tests.gateway.servers import PATIENCE_S, tool

PROXY = "http://127.0.0.1:4000"


def variables(base: Mapping[str, str] | None = None, **changes: Any) -> dict[str, str]:
    arguments: dict[str, Any] = {
        "proxy_url": PROXY,
        "tls_address": ("127.0.0.1", 4001),
        "ca_file": "/run/ca.pem",
        "bundle_file": "/run/bundle.pem",
        "preload_file": "/lib/preload.cjs",
        "url": "http://127.0.0.1:8325",
        "key": "mock:key",
    }
    return environment(base=base or {}, **(arguments | changes))[0]


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "WSS_PROXY", "wss_proxy"])
def test_https_and_wss_use_the_proxy(name: str) -> None:
    assert variables()[name] == PROXY


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_local_services_are_excluded_in_a_form_that_all_clients_accept(name: str) -> None:
    assert variables({name: "corp"})[name] == "127.0.0.1,localhost,::1"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_plain_http_uses_the_proxy_only_offline(name: str) -> None:
    assert name not in variables()
    assert variables(offline=True)[name] == PROXY


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_variables_that_replace_roots_name_the_bundle(name: str) -> None:
    assert variables()[name] == "/run/bundle.pem"


@pytest.mark.parametrize("name", ["NODE_EXTRA_CA_CERTS", "DENO_CERT"])
def test_variables_that_add_roots_name_our_certificate_unless_the_user_has_roots(name: str) -> None:
    assert variables()[name] == "/run/ca.pem"
    assert variables({name: "/corp.pem"})[name] == "/run/bundle.pem"


def test_programs_can_read_the_servers_address() -> None:
    assert variables()["MOCK_FAL_URL"] == "http://127.0.0.1:8325"


@pytest.mark.parametrize("name", ["FAL_KEY", "FAL_API_KEY", "FAL_AI_API_KEY"])
def test_a_real_key_is_replaced(name: str) -> None:
    assert variables({name: "real:secret"})[name] == "mock:key"


@pytest.mark.parametrize("name", ["FAL_API_KEY", "FAL_AI_API_KEY"])
def test_a_name_for_keys_that_the_user_does_not_have_is_not_set(name: str) -> None:
    assert name not in variables()
    assert variables({"FAL_KEY": "real:secret"})["FAL_KEY"] == "mock:key"


def test_variables_that_bypass_the_gateway_are_unset() -> None:
    _, unset = environment(
        base={},
        proxy_url=PROXY,
        tls_address=("127.0.0.1", 1),
        ca_file="",
        bundle_file="",
        preload_file="",
        url="",
        key="",
    )
    assert unset == list(UNSET)
    assert {"ALL_PROXY", "SSL_CERT_DIR", "FAL_KEY_ID", "FAL_KEY_SECRET", "FAL_RUN_HOST"} < set(unset)


def test_the_preload_has_all_its_variables() -> None:
    env = variables(offline=True, allow_host=["pypi.org", "example.com"])
    assert env["MOCK_FAL_TLS"] == "127.0.0.1:4001"
    assert env["MOCK_FAL_CA"] == "/run/ca.pem"
    assert env["MOCK_FAL_HOSTS"].split(",") == sorted(EMULATED_HOSTS)
    assert "fal.ai" in env["MOCK_FAL_DOMAINS"].split(",")
    assert (env["MOCK_FAL_OFFLINE"], env["MOCK_FAL_ALLOW_HOST"]) == ("1", "example.com,pypi.org")
    assert variables()["MOCK_FAL_OFFLINE"] == "0"


def test_the_npm_package_finds_the_preload() -> None:
    """It loads it into processes that run already, for which NODE_OPTIONS comes too late."""
    assert variables()["MOCK_FAL_NODE"] == "/lib/preload.cjs"


def test_the_preload_is_added_to_node_options_once() -> None:
    first = variables({"NODE_OPTIONS": "--no-warnings"})
    assert first["NODE_OPTIONS"] == "--no-warnings --require /lib/preload.cjs"
    assert variables(first)["NODE_OPTIONS"] == first["NODE_OPTIONS"]


@pytest.mark.parametrize(
    "folder", ["plain", "two words", 'a "quoted" one', r"back\slash here", r"back\slash"]
)
def test_node_finds_the_preload_in_any_folder(tmp_path: Path, folder: str) -> None:
    file = tmp_path / folder / "preload.cjs"
    file.parent.mkdir()
    file.write_text("console.log(JSON.stringify(__filename))")
    options = variables(preload_file=file)["NODE_OPTIONS"]
    done = subprocess.run(
        [tool("node"), "-e", ""],
        env={"NODE_OPTIONS": options},
        capture_output=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert json.loads(done.stdout) == str(file)


def test_the_users_roots_are_read_from_the_environment() -> None:
    base = {"SSL_CERT_FILE": "/corp.pem", "SSL_CERT_DIR": "/roots", "CURL_CA_BUNDLE": "", "HOME": "/home"}
    assert user_roots(base) == [Path("/corp.pem"), Path("/roots")]


@pytest.mark.parametrize(
    ("base", "host", "proxy"),
    [
        ({}, "pypi.org", None),
        ({"HTTPS_PROXY": "http://corp:3128"}, "pypi.org", "http://corp:3128"),
        ({"https_proxy": "corp:3128"}, "pypi.org", "http://corp:3128"),
        ({"ALL_PROXY": "https://corp"}, "pypi.org", "https://corp"),
        ({"ALL_PROXY": "socks5://corp"}, "pypi.org", None),
        ({"HTTPS_PROXY": "http://corp", "NO_PROXY": "a.org, .corp"}, "git.corp", None),
        ({"HTTPS_PROXY": "http://corp", "NO_PROXY": "pypi.org"}, "files.PyPI.org", None),
        ({"HTTPS_PROXY": "http://corp", "NO_PROXY": "pi.org,"}, "pypi.org", "http://corp"),
        ({"HTTPS_PROXY": "http://corp", "NO_PROXY": "*"}, "pypi.org", None),
        ({"HTTPS_PROXY": "http://corp"}, "localhost", None),
    ],
)
def test_other_hosts_are_reached_through_the_users_proxy(
    base: dict[str, str], host: str, proxy: str | None
) -> None:
    assert upstream(base)(host) == proxy
