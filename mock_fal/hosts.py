"""Host names of fal: those that are emulated, and the domains that belong to fal."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Final

# fal: queue.fal.run and fal.run have a backup name each, which the official Python client tries once
# when it can't connect (fal_client 1.0.3, `_BACKUP_DOMAINS`).
QUEUE_HOSTS: Final = frozenset({"queue.fal.run", "queue.falrun.com"})
RUN_HOSTS: Final = frozenset({"fal.run", "falrun.com"})
# fal: rest.alpha.fal.ai is the older name of rest.fal.ai and still works (live, 2026).
REST_HOSTS: Final = frozenset({"rest.fal.ai", "rest.alpha.fal.ai"})
MEDIA_HOSTS: Final = frozenset({"v3b.fal.media", "v3.fal.media", "fal.media"})

# fal: a store of values by key (fal SDK, 2026).
KV_HOSTS: Final = frozenset({"kv.fal.media"})

# fal: HTTP over WebSocket, without a backup name (fal's documentation, 2026).
WS_HOSTS: Final = frozenset({"ws.fal.run"})

# fal: the Platform API (below /v1), and the website, which publishes the OpenAPI documents of the models.
PLATFORM_HOSTS: Final = frozenset({"api.fal.ai"})
SITE_HOSTS: Final = frozenset({"fal.ai"})

EMULATED_HOSTS: Final = (
    QUEUE_HOSTS | RUN_HOSTS | WS_HOSTS | REST_HOSTS | MEDIA_HOSTS | PLATFORM_HOSTS | SITE_HOSTS | KV_HOSTS
)

# The host in the URLs of results and uploads.
# fal: all results of 2026 are on v3b.fal.media (several public captures).
RESULT_HOST: Final = "v3b.fal.media"

FAL_DOMAINS: Final = ("fal.run", "fal.ai", "fal.media", "fal.dev", "falrun.com")

# This machine and private networks, which can't be the live service.
LOCAL_NETWORKS: Final = tuple(
    map(
        ip_network,
        ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "0.0.0.0/32")
        + ("::/128", "::1/128", "fc00::/7"),
    )
)


def belongs_to_fal(host: str) -> bool:
    """Whether a host name belongs to fal, emulated or not."""
    name = host.lower().rstrip(".")
    return any(name == domain or name.endswith("." + domain) for domain in FAL_DOMAINS)


# Ends of names that only a local network knows.
_LOCAL_NAMES: Final = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


def is_out_of_reach(host: str) -> bool:
    """Whether a host is on this machine or in a private network, where fal can't reach it.

    >>> is_out_of_reach("localhost"), is_out_of_reach("192.168.0.7"), is_out_of_reach("example.com")
    (True, True, False)
    """
    name = host.lower().rstrip(".")
    try:
        return is_local_address(name) or ip_address(name).is_link_local
    except ValueError:
        return "." not in name or name.endswith(_LOCAL_NAMES)


def is_local_address(text: str) -> bool:
    """Whether an IP address belongs to this machine or a private network. Raises ValueError if `text` is none."""
    address = ip_address(text)
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in LOCAL_NETWORKS)
