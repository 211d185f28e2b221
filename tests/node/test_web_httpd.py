"""The profile httpd: what nginx has, on volumes of the StorageClass `fast` that outlive their claims.

The class belongs to the whole cluster. This file alone uses it, and it is gone when the file is done.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from berth.core.objects import Json, ObjectRef
from tests.node import web
from tests.node.conftest import OpenSpace
from tests.node.support import Space, promise, until
from tests.node.web import HTTPD, Reading

pytestmark = pytest.mark.node

#: One less than the profile's own number, for the sake of time.
REPLICAS = 2
TWO = ("--set", f"replicas={REPLICAS}")

FAST = ObjectRef("storage.k8s.io", "StorageClass", "", "fast")
_DELETED = json.dumps({"spec": {"persistentVolumeReclaimPolicy": "Delete"}})
#: Forgets which claim the volume was bound to, but not its name: a claim of that name gets it again.
_AVAILABLE = json.dumps([{"op": "remove", "path": f"/spec/claimRef/{key}"} for key in ("uid", "resourceVersion")])


@pytest.fixture(scope="module")
def space(open_space: OpenSpace) -> Iterator[Space]:
    opened = open_space("httpd")
    assert opened.kube.get(FAST) is None, "there is a StorageClass `fast` already, which these tests would make"
    try:
        opened.up("httpd", *TWO)
        yield opened
    finally:
        opened.berth("teardown", "--name", "httpd", "--data", "delete", code=None)
        until(lambda: _reclaimed(opened), 120)
        opened.berth("teardown", "--name", "httpd", "--data", "delete", "--volumes", "delete", code=None)
        assert opened.kube.get(FAST) is None


def volumes(space: Space) -> list[Json]:
    """The volumes of the class that claims of the namespace have or had, by the claims' names."""
    fast = [
        one for one in space.kube.list("", "PersistentVolume").items if one["spec"].get("storageClassName") == "fast"
    ]
    ours = [volume for volume in fast if volume["spec"].get("claimRef", {}).get("namespace") == space.name]
    return sorted(ours, key=lambda volume: str(volume["spec"]["claimRef"]["name"]))


@promise("Servers run as uid 33 without capabilities, on a root that cannot be written, without a token", on="httpd")
def test_servers_are_restricted(space: Space) -> None:
    web.check_enforced(space)
    for ordinal in range(REPLICAS):
        web.check_restricted(space, HTTPD, ordinal)


@promise("`operate` asks each server whether it runs and its configuration is valid", on="httpd, kubelet")
def test_the_ready_operation_passes(space: Space) -> None:
    said = space.berth("operate", "--profile", "httpd", "--operation", "ready").out
    for ordinal in range(REPLICAS):
        assert re.search(rf"{HTTPD.pod(ordinal)}\s+ready\s+passed", said), said


@promise("Host names, pods' names, both Services and SRV records resolve in other pods", on="CoreDNS")
def test_names_resolve(space: Space) -> None:
    web.check_names(space, HTTPD, REPLICAS)


@promise("`apache-http-0.httpd-service` answers on port 80 with the pod's own page", on="httpd, CoreDNS")
def test_each_pod_answers_under_its_own_name(space: Space) -> None:
    for ordinal in range(REPLICAS):
        HTTPD.publish(space, ordinal, f"page of {ordinal}")
        web.answers(space.client(), HTTPD.host(ordinal), f"page of {ordinal}")


@promise("A pod that is deleted comes back with its own page", on="kubelet, local-path-provisioner")
def test_pages_outlive_pods(space: Space) -> None:
    HTTPD.publish(space, 1, "written on 1")
    space.delete_pod(HTTPD.pod(1))
    web.answers(space.client(), HTTPD.host(1), "written on 1")


@promise("Pages of ordinals that are scaled away are there when they come back", on="kubelet, local-path-provisioner")
def test_pages_outlive_a_scale(space: Space) -> None:
    HTTPD.publish(space, 1, "before, on 1")
    space.up("httpd", "--set", "replicas=1")
    assert len(HTTPD.uids(space)) == 1
    assert [volume["status"]["phase"] for volume in volumes(space)] == ["Bound"] * REPLICAS
    space.up("httpd", *TWO)
    web.answers(space.client(), HTTPD.host(1), "before, on 1")


@promise("A stop lets a download finish, and ends with exit code 0 within the grace period", on="httpd, kubelet")
def test_a_stop_is_graceful(space: Space) -> None:
    ended, end = web.stop_under_download(space, HTTPD, 1)
    assert ended["exitCode"] == 0
    assert end == web.END


@promise(
    "A client that hangs does not hold up a stop; a second release keeps to the cluster's default class",
    on="httpd, kubelet, local-path-provisioner",
)
def test_a_stuck_client_delays_no_stop(space: Space) -> None:
    settings = ("replicas=1", "terminationGracePeriodSeconds=18", "storage.createClass=false", "storage.className=null")
    options = [word for setting in settings for word in ("--set", setting)]
    two = web.Site("two-apache-http", "httpd", "two-httpd-service", "two-httpd-client", 33, HTTPD.store, HTTPD.claim)
    try:
        space.up("httpd", "--name", "two", *options)
        assert space.claims()["htdocs-two-apache-http-0"]["spec"]["storageClassName"] != "fast"
        ended, end = web.stop_under_download(space, two, 0, pause=24)
        assert ended["exitCode"] == 0
        assert end == ""
    finally:
        space.berth("teardown", "--name", "two", "--data", "delete")


@promise("A change replaces all pods, and no reader of `httpd-client` sees an error", on="httpd, kube-proxy, CoreDNS")
def test_readers_see_nothing_of_a_rolling_update(space: Space) -> None:
    before = HTTPD.uids(space)
    for ordinal in range(REPLICAS):
        HTTPD.publish(space, ordinal, f"through {ordinal}")
    try:
        with Reading(space, "service", "http://httpd-client/") as reading:
            space.up("httpd", *TWO, "--set", "maxRequestWorkers=125", "--set", "networkPolicy.enabled=true")
        assert not before & HTTPD.uids(space)
        assert not reading.errors, f"{len(reading.errors)} errors beside {reading.pages}"
        assert set(reading.pages) == {f"through {ordinal}" for ordinal in range(REPLICAS)}
        assert reading.pages.total() > 50
        assert "MaxRequestWorkers 125" in space.shell(HTTPD.pod(0), "cat conf/httpd.conf")
        policy = space.get("networking.k8s.io", "NetworkPolicy", "apache-http")
        assert policy is not None
        assert policy["spec"]["ingress"][0]["ports"] == [{"port": "web", "protocol": "TCP"}]
    finally:
        space.up("httpd", *TWO)


@promise(
    "Under Retain a teardown leaves Released volumes; a claim of the same name takes its volume back",
    on="controller manager, local-path-provisioner",
)
def test_released_volumes_can_be_taken_back(space: Space) -> None:
    for ordinal in range(REPLICAS):
        HTTPD.publish(space, ordinal, f"retained of {ordinal}")
    names = [volume["metadata"]["name"] for volume in volumes(space)]
    down = space.berth("teardown", "--name", "httpd", "--data", "delete")
    assert space.claims() == {}
    until(lambda: True if _phases(space) == {"Released"} else None, 60)
    assert all(f"PersistentVolume/{name}" in down.out for name in names)
    assert space.kube.get(FAST) is not None, "the class went before its volumes"

    for name in names:
        space.kubectl("patch", "pv", name, "--type=json", "-p", _AVAILABLE)
    space.up("httpd", *TWO)
    assert [volume["metadata"]["name"] for volume in volumes(space)] == names
    for ordinal in range(REPLICAS):
        web.answers(space.client(), HTTPD.host(ordinal), f"retained of {ordinal}")


@promise(
    "Released volumes are listed by each teardown, and deleted, with their class, only by `--volumes delete`",
    on="controller manager, local-path-provisioner",
)
def test_released_volumes_go_only_when_told(space: Space) -> None:
    names = [volume["metadata"]["name"] for volume in volumes(space)]
    space.berth("teardown", "--name", "httpd", "--data", "delete")
    until(lambda: True if _phases(space) == {"Released"} else None, 60)
    again = space.berth("teardown", "--name", "httpd", "--data", "delete")
    assert all(name in again.out for name in names)
    assert [volume["metadata"]["name"] for volume in volumes(space)] == names

    space.berth("teardown", "--name", "httpd", "--data", "delete", "--volumes", "delete")
    assert volumes(space) == []
    assert space.kube.get(FAST) is None
    space.up("httpd", *TWO)


@promise("`teardown --data keep` and `up` give each ordinal its page again", on="kubelet, local-path-provisioner")
def test_pages_outlive_a_teardown(space: Space) -> None:
    for ordinal in range(REPLICAS):
        HTTPD.publish(space, ordinal, f"kept on {ordinal}")
    space.berth("teardown", "--name", "httpd", "--data", "keep")
    assert set(space.claims()) == {f"htdocs-apache-http-{ordinal}" for ordinal in range(REPLICAS)}
    space.up("httpd", *TWO)
    for ordinal in range(REPLICAS):
        web.answers(space.client(), HTTPD.host(ordinal), f"kept on {ordinal}")


def _reclaimed(space: Space) -> bool | None:
    """Whether no volume is left; those that are get the policy under which the provisioner cleans the disk as well."""
    left = volumes(space)
    for volume in left:
        space.kubectl("patch", "pv", volume["metadata"]["name"], "-p", _DELETED, code=None)
    return None if left else True


def _phases(space: Space) -> set[str]:
    return {volume["status"]["phase"] for volume in volumes(space)}
