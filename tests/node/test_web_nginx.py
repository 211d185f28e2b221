"""The profile nginx: who serves, under which names, what stays where, and what clients see of a change."""

from __future__ import annotations

import re

import pytest

from tests.node import web
from tests.node.conftest import OpenSpace
from tests.node.support import Space, promise, until
from tests.node.web import NGINX, Reading

pytestmark = [pytest.mark.node, pytest.mark.slow]

#: A directive that nginx does not know.
_WRONG = "http { server { listen 80; page_store on; } }\nevents {}\npid /tmp/nginx.pid;\n"


@pytest.fixture(scope="module")
def space(open_space: OpenSpace) -> Space:
    opened = open_space("nginx")
    opened.up("nginx")
    return opened


@promise("Servers run as uid 101 without capabilities, on a root that cannot be written, without a token", on="nginx")
def test_servers_are_restricted(space: Space) -> None:
    web.check_enforced(space)
    for ordinal in range(2):
        web.check_restricted(space, NGINX, ordinal)


@promise("`operate` asks each server whether it runs and its configuration is valid", on="nginx, kubelet")
def test_the_ready_operation_passes(space: Space) -> None:
    said = space.berth("operate", "--profile", "nginx", "--operation", "ready").out
    for ordinal in range(2):
        assert re.search(rf"{NGINX.pod(ordinal)}\s+ready\s+passed", said), said


@promise("Host names, `web-0.nginx`, its full name, both Services and SRV records resolve in other pods", on="CoreDNS")
def test_names_resolve(space: Space) -> None:
    web.check_names(space, NGINX, 2)


@promise("`web-0.nginx` answers on port 80 with the pod's own page", on="nginx, CoreDNS")
def test_each_pod_answers_under_its_own_name(space: Space) -> None:
    for ordinal in range(2):
        NGINX.publish(space, ordinal, f"page of {ordinal}")
        web.answers(space.client(), NGINX.host(ordinal), f"page of {ordinal}")


@promise("A pod that is deleted or killed comes back with its own page", on="kubelet, local-path-provisioner")
def test_pages_outlive_pods(space: Space) -> None:
    for ordinal, grace in ((0, None), (1, 0)):
        NGINX.publish(space, ordinal, f"written on {ordinal}")
        space.delete_pod(NGINX.pod(ordinal), grace=grace)
        web.answers(space.client(), NGINX.host(ordinal), f"written on {ordinal}")


@promise("Pages are there after a scale to 0, to 1 and back", on="kubelet, local-path-provisioner")
def test_pages_outlive_a_scale_to_zero(space: Space) -> None:
    for ordinal in range(2):
        NGINX.publish(space, ordinal, f"before, on {ordinal}")
    claims = space.claims()
    space.up("nginx", "--set", "replicas=0")
    assert NGINX.uids(space) == set()
    assert {name: claim["spec"]["volumeName"] for name, claim in space.claims().items()} == {
        name: claim["spec"]["volumeName"] for name, claim in claims.items()
    }
    space.up("nginx", "--set", "replicas=1")
    web.answers(space.client(), NGINX.service, "before, on 0")
    space.up("nginx")
    web.answers(space.client(), NGINX.host(1), "before, on 1")


@promise("`teardown --data keep` and `up` give each ordinal its page again", on="kubelet, local-path-provisioner")
def test_pages_outlive_a_teardown(space: Space) -> None:
    for ordinal in range(2):
        NGINX.publish(space, ordinal, f"kept on {ordinal}")
    space.berth("teardown", "--name", "nginx", "--data", "keep")
    assert space.get("apps", "StatefulSet", "web") is None
    assert set(space.claims()) == {"www-web-0", "www-web-1"}
    space.up("nginx")
    for ordinal in range(2):
        web.answers(space.client(), NGINX.host(ordinal), f"kept on {ordinal}")


@promise("A stop lets a download finish, and ends with exit code 0 within the grace period", on="nginx, kubelet")
def test_a_stop_is_graceful(space: Space) -> None:
    ended, end = web.stop_under_download(space, NGINX, 1)
    assert ended["exitCode"] == 0
    assert end == web.END


@promise("A change replaces all pods, and no reader of `nginx-client` sees an error", on="nginx, kube-proxy, CoreDNS")
def test_readers_see_nothing_of_a_rolling_update(space: Space) -> None:
    look, before = space.client(), NGINX.uids(space)
    for ordinal in range(2):
        NGINX.publish(space, ordinal, f"through {ordinal}")
    try:
        with Reading(space, "service", "http://nginx-client/") as reading:
            space.up("nginx", "--set", "workerConnections=512", "--set", "maxBodySize=2k")
        assert not before & NGINX.uids(space)
        assert not reading.errors, f"{len(reading.errors)} errors beside {reading.pages}"
        assert set(reading.pages) == {"through 0", "through 1"}
        assert reading.pages.total() > 50
        assert "worker_connections 512;" in space.shell("web-0", "cat /etc/nginx/nginx.conf")
        # nginx takes no body for a page (405), but says 413 first where the body is too large.
        assert _post(look, 3000) == "413"
        assert _post(look, 1000) == "405"
    finally:
        space.up("nginx")


@promise("A NetworkPolicy is taken by the API server, and clients of the namespace still get in", on="API server")
def test_the_network_policy_is_valid(space: Space) -> None:
    space.up("nginx", "--set", "networkPolicy.enabled=true")
    policy = space.get("networking.k8s.io", "NetworkPolicy", "web")
    assert policy is not None
    assert policy["spec"]["ingress"] == [{"from": [{"podSelector": {}}], "ports": [{"port": "web", "protocol": "TCP"}]}]
    assert space.client()("timeout 15 wget -qO- http://nginx-client/")
    space.up("nginx")
    assert space.get("networking.k8s.io", "NetworkPolicy", "web") is None


@promise("A size that nginx would not take is refused before anything is written", on="API server")
def test_a_wrong_value_changes_nothing(space: Space) -> None:
    found = space.get("apps", "StatefulSet", "web")
    refused = space.up("nginx", "--set", "maxBodySize=99999999999999999999g", code=2)
    assert "maxBodySize" in refused.err
    again = space.get("apps", "StatefulSet", "web")
    assert found and again and found["metadata"]["generation"] == again["metadata"]["generation"]


@promise("A configuration that nginx refuses stops at the highest ordinal, with nginx' own words", on="nginx, kubelet")
def test_a_wrong_configuration_stops_at_the_first_pod(space: Space) -> None:
    shadow = space.home / "templates" / "nginx" / "nginx.conf"
    shadow.parent.mkdir(parents=True)
    (space.home / "invoke.yaml").write_text("", encoding="utf-8")
    shadow.write_text(_WRONG, encoding="utf-8")
    NGINX.publish(space, 0, "still here")
    untouched = space.pod("web-0")["metadata"]["uid"]
    try:
        failed = space.up("nginx", "--patience", "15s", code=1)
    finally:
        shadow.unlink()
    assert 'unknown directive "page_store"' in failed.text
    assert space.pod("web-0")["metadata"]["uid"] == untouched
    web.answers(space.client(), "nginx-client", "still here")

    # A pod that reads the mended ConfigMap at its next attempt comes up by itself; else `up` names the one to delete.
    mended = space.up("nginx", "--patience", "5s", code=None)
    if mended.code != 0:
        assert f"kubectl delete pod web-1 -n {space.name}" in mended.text
        space.kubectl("delete", "pod", "web-1", "--wait=false")
        space.up("nginx")
    assert f"delete pod web-0 -n {space.name}" not in mended.text
    web.answers(space.client(), "web-0.nginx", "still here")


@promise(
    "A second release, Parallel and OnDelete: `up` says who awaits deletion; a stuck client delays no stop",
    on="nginx, kubelet",
)
def test_pods_that_change_when_deleted(space: Space) -> None:
    settings = (
        "podManagementPolicy=Parallel",
        "updateStrategy.type=OnDelete",
        "terminationGracePeriodSeconds=12",
        "welcomePage=false",
    )
    options = ("--name", "two", *(word for setting in settings for word in ("--set", setting)))
    two = web.Site("two-web", "nginx", "two-nginx", "two-nginx-client", 101, NGINX.store, NGINX.claim)
    space.up("nginx", *options)
    # Ready without a page: probes do not ask for one.
    assert "403" in space.client()("timeout 15 wget -SO- http://two-nginx-client/ 2>&1 || true")
    before = space.pod("two-web-0")["metadata"]["uid"]
    changed = space.up("nginx", *options, "--set", "workerConnections=512")
    assert "deletion" in changed.text
    assert space.pod("two-web-0")["metadata"]["uid"] == before

    ended, end = web.stop_under_download(space, two, 0, pause=15)
    assert ended["exitCode"] == 0
    assert end == ""
    assert "worker_connections 512;" in space.shell("two-web-0", "cat /etc/nginx/nginx.conf")
    space.berth("teardown", "--name", "two", "--data", "delete")


def _post(look: web.Look, size: int) -> str:
    """The status of a request with a body of so many bytes."""
    fill = f"head -c {size} /dev/zero | tr '\\0' x > /tmp/body"
    send = f"{fill}; timeout 15 wget -SO- --post-file /tmp/body http://nginx-client/"
    answer = until(lambda: look(f"{send} 2>&1 | grep -o 'HTTP/1.1 [0-9]*' || true") or None, 60)
    return answer.split()[-1]
