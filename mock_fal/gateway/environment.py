"""The environment variables that make a program's HTTP clients use mock-fal."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from mock_fal.hosts import EMULATED_HOSTS, FAL_DOMAINS

# Exactly these: httpx 0.24 to 0.28 raises on `[::1]` and doesn't understand `127.0.0.0/8`. Without them, requests
# to a program's local services, webhooks among them, would go to the proxy.
NO_PROXY: Final = "127.0.0.1,localhost,::1"

# Variables that would bypass mock-fal. All names are listed, set or not, so `mock-fal env` prints the same everywhere.
UNSET: Final = (
    "ALL_PROXY",  # httpx, requests, curl: a proxy for all other schemes, such as a SOCKS proxy
    "all_proxy",
    "SSL_CERT_DIR",  # OpenSSL, httpx: a folder of roots; the bundle contains them (user_roots)
    "FAL_KEY_ID",  # fal's clients: an older pair, which some prefer to FAL_KEY
    "FAL_KEY_SECRET",
    "FAL_RUN_HOST",  # fal-client: another host than fal.run, for requests but not for uploads
    "FAL_QUEUE_RUN_HOST",
    "MOCK_FAL_LIVE_KEY",  # a real key, for --record only: no program gets it
    "MOCK_FAL_CONTROL_TOKEN",  # the control API of a server on another machine
)

# Other names for a key: the AI SDK reads the first one before FAL_KEY, litellm only the second.
_OTHER_KEYS: Final = ("FAL_API_KEY", "FAL_AI_API_KEY")

# Its `sitecustomize` is imported by each Python that starts with this folder in PYTHONPATH.
PYTHON_PRELOAD: Final = Path(__file__).with_name("preload")

# The variables that name a user's own roots; each is a file, or a folder of files.
_ROOT_VARIABLES: Final = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "DENO_CERT",
)
# The variables that name a user's own proxy: the first one set is used. Lower case comes first, as with curl.
_UPSTREAM_VARIABLES: Final = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


def environment(
    *,
    base: Mapping[str, str],
    proxy_url: str,
    tls_address: tuple[str, int],
    ca_file: str | Path,
    bundle_file: str | Path,
    preload_file: str | Path,
    url: str,
    key: str,
    offline: bool = False,
    allow_host: Collection[str] = (),
    servers: Collection[str] = (),
) -> tuple[dict[str, str], list[str]]:
    """The variables to set, and those to unset, for a program whose environment is `base`.

    The proxies and roots of `base` remain in effect: mock-fal's proxy uses its proxy for other hosts (`upstream`),
    and the bundle contains its roots (`user_roots`). `servers` are the name and the address of a server on another
    machine, which programs reach without the proxy.
    """
    variables = {
        **_proxies(proxy_url, offline, servers),
        **_roots(base, ca_file, bundle_file),
        **_node(base, preload_file),
        **_python(base),
        **_guard(tls_address, ca_file),
        "MOCK_FAL_URL": url,  # tests: the control API
        "MOCK_FAL_PROXY": proxy_url,  # the preloads: receives their blocked connections, for the summary
        "MOCK_FAL_OFFLINE": "1" if offline else "0",  # the preloads
        "MOCK_FAL_ALLOW_HOST": ",".join(sorted({*allow_host, *servers})),  # the preloads
        # Always set: a client that ignores proxies must not send a real key.
        "FAL_KEY": key,  # fal's clients, and nearly all others
        # Replaced if they are set: a program that reads a variable which its user does not have fails here too.
        **{name: key for name in _OTHER_KEYS if name in base},
    }
    return variables, list(UNSET)


def child_environment(
    base: Mapping[str, str], variables: Mapping[str, str], unset: Collection[str]
) -> dict[str, str]:
    """The whole environment of a child process: `base` without the variables to unset, and with those to set.

    >>> child_environment({"HOME": "/", "MOCK_FAL_LIVE_KEY": "real:key"}, {"FAL_KEY": "mock:fal"}, UNSET)
    {'HOME': '/', 'FAL_KEY': 'mock:fal'}
    """
    return {name: value for name, value in base.items() if name not in unset} | dict(variables)


def _proxies(proxy_url: str, offline: bool, servers: Collection[str]) -> dict[str, str]:
    """Each variable in upper and lower case: curl, wget and Ruby read lower case only."""
    proxies = {
        "HTTPS_PROXY": proxy_url,  # httpx, requests, urllib, websockets, curl, Go, Deno, Bun
        "WSS_PROXY": proxy_url,  # Node's proxy-from-env, and Python's websockets before HTTPS_PROXY
        "NO_PROXY": ",".join([NO_PROXY, *servers]),  # all of them
    }
    if offline:  # else plain http is left alone: fal does not use it
        proxies["HTTP_PROXY"] = proxy_url
    return proxies | {name.lower(): value for name, value in proxies.items()}


def _roots(base: Mapping[str, str], ca_file: str | Path, bundle_file: str | Path) -> dict[str, str]:
    """Variables that replace a client's roots name the bundle; those that add to them name our certificate.

    If `base` already has a variable that adds roots, it names the bundle, which contains those roots too.
    """
    bundle = str(bundle_file)

    def added(name: str) -> str:
        return bundle if name in base else str(ca_file)

    return {
        "SSL_CERT_FILE": bundle,  # OpenSSL and so Python's ssl, httpx, urllib, websockets, Ruby; Go; uv
        "REQUESTS_CA_BUNDLE": bundle,  # requests
        "CURL_CA_BUNDLE": bundle,  # curl, and requests after its own
        "NODE_EXTRA_CA_CERTS": added("NODE_EXTRA_CA_CERTS"),  # Node, if it uses the proxy after all; Bun
        "DENO_CERT": added("DENO_CERT"),  # Deno
    }


def _guard(tls_address: tuple[str, int], ca_file: str | Path) -> dict[str, str]:
    """Node and Python need no proxy: their preloads read these variables and connect to mock-fal's TLS port."""
    host, port = tls_address
    return {
        "MOCK_FAL_TLS": f"{host}:{port}",
        "MOCK_FAL_CA": str(ca_file),
        "MOCK_FAL_HOSTS": ",".join(sorted(EMULATED_HOSTS)),
        "MOCK_FAL_DOMAINS": ",".join(FAL_DOMAINS),
    }


def _node(base: Mapping[str, str], preload_file: str | Path) -> dict[str, str]:
    return {
        "NODE_OPTIONS": _node_options(base.get("NODE_OPTIONS", ""), preload_file),
        "MOCK_FAL_NODE": str(preload_file),  # the npm package: loads it where NODE_OPTIONS came too late
    }


def _python(base: Mapping[str, str]) -> dict[str, str]:
    """PYTHONPATH with the folder of the preload first, and once. An empty entry in it means the current folder."""
    folder = str(PYTHON_PRELOAD)
    if os.pathsep in folder:  # it can't be part of PYTHONPATH
        return {}
    existing = base.get("PYTHONPATH", "")
    others = [entry for entry in existing.split(os.pathsep) if entry != folder] if existing else []
    return {"PYTHONPATH": os.pathsep.join([folder, *others])}


def _node_options(existing: str, preload_file: str | Path) -> str:
    path = str(preload_file)
    if any(character in path for character in ' "'):
        # Node treats a backslash as an escape character only within quotes.
        path = '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
    option = f"--require {path}"
    return existing if option in existing else f"{existing} {option}".strip()


def user_roots(base: Mapping[str, str]) -> list[Path]:
    """The files and folders of roots that a user's environment names, for the bundle."""
    return [Path(base[name]) for name in _ROOT_VARIABLES if base.get(name)]


def upstream(base: Mapping[str, str]) -> Callable[[str], str | None]:
    """A function that returns the user's own proxy for a host, from `base`; None for hosts in its NO_PROXY.

    SOCKS proxies are not supported: hosts are then connected directly.

    >>> proxy_for = upstream({"https_proxy": "http://proxy.corp:3128", "no_proxy": ".corp"})
    >>> proxy_for("pypi.org"), proxy_for("git.corp")
    ('http://proxy.corp:3128', None)
    """
    proxy = next((base[name] for name in _UPSTREAM_VARIABLES if base.get(name)), "")
    url = proxy if "://" in proxy else f"http://{proxy}"
    excluded = [*NO_PROXY.split(","), *(base.get("no_proxy") or base.get("NO_PROXY") or "").split(",")]

    def proxy_for(host: str) -> str | None:
        usable = proxy and url.startswith(("http://", "https://"))
        return url if usable and not any(_covers(pattern, host) for pattern in excluded) else None

    return proxy_for


def _covers(pattern: str, host: str) -> bool:
    """Match NO_PROXY as most clients do: `corp` and `.corp` both match corp and its subdomains."""
    domain = pattern.strip().lower().lstrip(".")
    return domain == "*" or (domain != "" and f".{host.lower()}".endswith(f".{domain}"))
