from __future__ import annotations

import pytest

from mock_fal.hosts import (
    EMULATED_HOSTS,
    FAL_DOMAINS,
    KV_HOSTS,
    MEDIA_HOSTS,
    PLATFORM_HOSTS,
    QUEUE_HOSTS,
    REST_HOSTS,
    RESULT_HOST,
    RUN_HOSTS,
    SITE_HOSTS,
    WS_HOSTS,
    belongs_to_fal,
    is_local_address,
    is_out_of_reach,
)


def test_both_request_hosts_have_a_backup_name() -> None:
    assert QUEUE_HOSTS == {"queue.fal.run", "queue.falrun.com"}
    assert RUN_HOSTS == {"fal.run", "falrun.com"}


def test_old_names_are_emulated_too() -> None:
    assert {"rest.alpha.fal.ai", "fal.media", "v3.fal.media"} <= EMULATED_HOSTS


def test_a_host_has_one_role() -> None:
    roles = [QUEUE_HOSTS, RUN_HOSTS, WS_HOSTS, REST_HOSTS, MEDIA_HOSTS, PLATFORM_HOSTS, SITE_HOSTS, KV_HOSTS]
    assert sum(map(len, roles)) == len(EMULATED_HOSTS)


def test_the_result_host_is_a_media_host() -> None:
    assert RESULT_HOST in MEDIA_HOSTS


@pytest.mark.parametrize("host", sorted(EMULATED_HOSTS | set(FAL_DOMAINS)))
def test_every_emulated_host_belongs_to_fal(host: str) -> None:
    assert belongs_to_fal(host)


@pytest.mark.parametrize("host", ["mcp.fal.ai", "FAL.run", "queue.fal.run.", "a.b.fal.media"])
def test_subdomains_of_fal_belong_to_fal(host: str) -> None:
    assert belongs_to_fal(host)


@pytest.mark.parametrize("host", ["", "notfal.run", "fal.run.example.com", "falrun.org", "run", "127.0.0.1"])
def test_a_similar_name_does_not_belong_to_fal(host: str) -> None:
    assert not belongs_to_fal(host)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "0.0.0.0"]
    + ["::1", "::", "fd00::1", "::ffff:10.0.0.1"],
)
def test_this_machine_and_private_networks_are_local(address: str) -> None:
    assert is_local_address(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "172.32.0.1", "192.169.0.1", "169.254.169.254", "0.0.0.1", "2001:db8::1", "fe80::1"]
    + ["::ffff:8.8.8.8"],
)
def test_other_addresses_are_not_local(address: str) -> None:
    assert not is_local_address(address)


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "10.0.0.0/8", "127.0.0.1:80"])
def test_a_text_that_is_not_an_ip_address_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        is_local_address(text)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "localhost",
            "127.0.0.1",
            "::1",
            "10.1.2.3",
            "192.168.0.7",
            "172.16.0.1",
            "169.254.169.254",
            "0.0.0.0",
        ),
        *("app", "minio", "host.docker.internal", "printer.local", "a.localhost", "LOCALHOST."),
    ],
)
def test_local_hosts_are_out_of_reach(host: str) -> None:
    assert is_out_of_reach(host)


@pytest.mark.parametrize("host", ["example.com", "8.8.8.8", "v3b.fal.media", "local.example", "2606:4700::1"])
def test_public_hosts_are_within_reach(host: str) -> None:
    assert not is_out_of_reach(host)
