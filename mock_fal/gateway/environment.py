"""The environment of a run: what makes a program's HTTP clients come to us, in the variables they read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from mock_fal.hosts import EMULATED_HOSTS, FAL_DOMAINS

# Exactly these. httpx 0.24 to 0.28 raises on `[::1]` and doesn't understand `127.0.0.0/8`; and without the
# exclusion a program's local services, webhooks among them, would run into the proxy.
NO_PROXY: Final = "127.0.0.1,localhost,::1"

# What would lead a program past us. Every name is listed, set or not, so that `mock-fal env` reads alike anywhere.
UNSET: Final = (
    "ALL_PROXY",  # httpx, requests, curl: a proxy for what the others leave open, such as a SOCKS one
    "all_proxy",
    "SSL_CERT_DIR",  # OpenSSL, httpx: a folder of roots; its certificates are in our bundle (user_roots)
    "FAL_KEY_ID",  # fal's clients: the older pair, which some prefer to FAL_KEY
    "FAL_KEY_SECRET",
    "FAL_RUN_HOST",  # fal-client: another host than fal.run, for requests but not for uploads
    "FAL_QUEUE_RUN_HOST",
)

# A user's own roots, by the variables that name them; each is a file, or a folder of files.
_ROOT_VARIABLES: Final = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "DENO_CERT",
)
# A user's own proxy, the first that is set; lower case comes first, as with curl.
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
) -> tuple[dict[str, str], list[str]]:
    """The variables to set, and those to unset, for a program whose environment is `base`.

    What `base` says about proxies and roots isn't lost. A proxy that it names is the one by which our own proxy
    reaches other hosts (`upstream`); roots that it names are part of the bundle (`user_roots`).
    """
    variables = {
        **_proxies(proxy_url, offline),
        **_roots(base, ca_file, bundle_file),
        **_node(base, tls_address, ca_file, preload_file),
        "MOCK_FAL_URL": url,  # a test: where the control API is
        "MOCK_FAL_PROXY": proxy_url,  # the preload: whom it tells what it refuses
        "MOCK_FAL_OFFLINE": "1" if offline else "0",  # the preload
        "MOCK_FAL_ALLOW_HOST": ",".join(sorted(allow_host)),  # the preload
        # Always: a client that ignores proxies must not carry a real key out.
        "FAL_KEY": key,  # fal's clients, and nearly all others
        "FAL_API_KEY": key,  # the AI SDK, before FAL_KEY
        "FAL_AI_API_KEY": key,  # litellm
    }
    return variables, list(UNSET)


def _proxies(proxy_url: str, offline: bool) -> dict[str, str]:
    """Both spellings: curl, wget and Ruby read lower case only."""
    proxies = {
        "HTTPS_PROXY": proxy_url,  # httpx, requests, urllib, websockets, curl, Go, Deno, Bun
        "WSS_PROXY": proxy_url,  # Node's proxy-from-env, and Python's websockets before HTTPS_PROXY
        "NO_PROXY": NO_PROXY,  # all of them
    }
    if offline:  # else plain http isn't our affair: fal has none
        proxies["HTTP_PROXY"] = proxy_url
    return proxies | {name.lower(): value for name, value in proxies.items()}


def _roots(base: Mapping[str, str], ca_file: str | Path, bundle_file: str | Path) -> dict[str, str]:
    """Some variables replace a client's roots and name the bundle, some add to them and name our certificate.

    Of the latter there may be one already: then the bundle, which has those roots too, takes its place.
    """
    bundle = str(bundle_file)

    def added(name: str) -> str:
        return bundle if name in base else str(ca_file)

    return {
        "SSL_CERT_FILE": bundle,  # OpenSSL and so Python's ssl, httpx, urllib, websockets, Ruby; Go; uv
        "REQUESTS_CA_BUNDLE": bundle,  # requests
        "CURL_CA_BUNDLE": bundle,  # curl, and requests after its own
        "NODE_EXTRA_CA_CERTS": added("NODE_EXTRA_CA_CERTS"),  # Node when it takes the proxy after all; Bun
        "DENO_CERT": added("DENO_CERT"),  # Deno
    }


def _node(
    base: Mapping[str, str], tls_address: tuple[str, int], ca_file: str | Path, preload_file: str | Path
) -> dict[str, str]:
    """Node needs no proxy: the preload, which reads the MOCK_FAL_ variables, connects to our TLS port."""
    host, port = tls_address
    return {
        "NODE_OPTIONS": _node_options(base.get("NODE_OPTIONS", ""), preload_file),
        "MOCK_FAL_TLS": f"{host}:{port}",
        "MOCK_FAL_CA": str(ca_file),
        "MOCK_FAL_HOSTS": ",".join(sorted(EMULATED_HOSTS)),
        "MOCK_FAL_DOMAINS": ",".join(FAL_DOMAINS),
    }


def _node_options(existing: str, preload_file: str | Path) -> str:
    path = str(preload_file)
    if any(letter in path for letter in ' "'):
        # Node takes a backslash for an escape within quotes, and only there.
        path = '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
    option = f"--require {path}"
    return existing if option in existing else f"{existing} {option}".strip()


def user_roots(base: Mapping[str, str]) -> list[Path]:
    """The files and folders of roots that a user's environment names, for the bundle to hold them too."""
    return [Path(base[name]) for name in _ROOT_VARIABLES if base.get(name)]


def upstream(base: Mapping[str, str]) -> Callable[[str], str | None]:
    """By which proxy a host was reached before we took the proxy's place: `base`'s, unless its NO_PROXY says none.

    A SOCKS proxy isn't spoken; hosts are then reached directly.

    >>> by = upstream({"https_proxy": "http://proxy.corp:3128", "no_proxy": ".corp"})
    >>> by("pypi.org"), by("git.corp")
    ('http://proxy.corp:3128', None)
    """
    proxy = next((base[name] for name in _UPSTREAM_VARIABLES if base.get(name)), "")
    url = proxy if "://" in proxy else f"http://{proxy}"
    excluded = [*NO_PROXY.split(","), *(base.get("no_proxy") or base.get("NO_PROXY") or "").split(",")]

    def proxy_for(host: str) -> str | None:
        usable = proxy and url.startswith(("http://", "https://"))
        return url if usable and not any(_covers(request, host) for request in excluded) else None

    return proxy_for


def _covers(request: str, host: str) -> bool:
    """NO_PROXY as most clients read it: `corp` and `.corp` both stand for corp and all names below."""
    domain = request.strip().lower().lstrip(".")
    return domain == "*" or (domain != "" and f".{host.lower()}".endswith(f".{domain}"))
