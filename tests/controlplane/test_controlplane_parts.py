"""Certificates, kwok's configuration, and the decisions about volumes."""

from __future__ import annotations

import ssl
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from berth.controlplane import bootstrap, nodes, pki, volumes
from berth.core.errors import LocalError

pytestmark = pytest.mark.unit

Object = dict[str, Any]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    pki.ensure(directory)
    return directory


def openssl(*arguments: str) -> str:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True).stdout


def test_every_certificate_is_signed_and_matches_its_key(keys: Path) -> None:
    for authority, identities in (("ca", pki.IDENTITIES), ("etcd-ca", pki.ETCD_IDENTITIES)):
        for identity in identities:
            certificate = keys / f"{identity.file}.crt"
            openssl("verify", "-CAfile", str(keys / f"{authority}.crt"), str(certificate))
            context = ssl.create_default_context(cafile=str(keys / f"{authority}.crt"))
            context.load_cert_chain(certificate, keys / f"{identity.file}.key")
            subject = openssl("x509", "-in", str(certificate), "-noout", "-subject", "-nameopt", "multiline")
            assert f"= {identity.user}\n" in subject
            assert identity.group in subject


def test_the_server_speaks_for_its_names(keys: Path) -> None:
    text = openssl("x509", "-in", str(keys / "apiserver.crt"), "-noout", "-text")
    assert "IP Address:127.0.0.1" in text
    assert "DNS:kubernetes.default.svc.cluster.local" in text
    assert "TLS Web Server Authentication" in text
    assert "TLS Web Server Authentication" not in openssl("x509", "-in", str(keys / "admin.crt"), "-noout", "-text")


def test_keys_are_private_and_no_scratch_is_left(keys: Path) -> None:
    found = list(keys.glob("*.key"))
    assert len(found) == len(pki.IDENTITIES) + len(pki.ETCD_IDENTITIES) + 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o600}
    assert not [path for path in keys.iterdir() if path.is_dir()]


def test_what_is_there_is_kept_and_what_is_missing_is_made(tmp_path: Path) -> None:
    pki.ensure(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "kwok.crt").unlink()
    pki.ensure(tmp_path)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"kwok.crt", "kwok.key"}


def test_no_openssl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalError, match="openssl"):
        pki.ensure(tmp_path)


def test_an_openssl_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "openssl").write_text("#!/bin/sh\necho 'unknown option' >&2\nexit 3\n")
    (tmp_path / "openssl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(LocalError, match="unknown option"):
        pki.ensure(tmp_path)


def test_kwok_gets_whole_documents(tmp_path: Path) -> None:
    text = nodes.config(tmp_path, "v1.36.3")
    documents = [item for item in yaml.safe_load_all(text) if item]
    stages = [item for item in documents if item["kind"] == "Stage"]
    assert {item["spec"]["resourceRef"]["kind"] for item in stages} == {"Node", "Pod"}
    assert len({item["metadata"]["name"] for item in stages}) == len(stages)
    assert "@" not in text
    assert 'kubeletVersion: "v1.36.3"' in text


def test_the_cluster_has_two_zones_and_two_classes() -> None:
    found = bootstrap.objects()
    classes = {item["metadata"]["name"]: item for item in found if item["kind"] == "StorageClass"}
    assert set(classes) == {"local-path", "fast-ssd"}
    assert classes["local-path"]["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"
    assert classes["fast-ssd"]["allowVolumeExpansion"] is True
    zones = [item["metadata"]["labels"]["topology.kubernetes.io/zone"] for item in found if item["kind"] == "Node"]
    assert sorted(zones) == ["local-a", "local-a", "local-b"]


CLASS: Object = {
    "metadata": {"name": "disk"},
    "provisioner": "example.com/disk",
    "volumeBindingMode": "Immediate",
    "reclaimPolicy": "Retain",
    "allowVolumeExpansion": True,
}


def claim(annotations: dict[str, str] | None = None, **spec: Any) -> Object:
    return {
        "metadata": {
            "name": "data-web-0",
            "namespace": "shop",
            "uid": "u-1",
            "resourceVersion": "7",
            "annotations": annotations if annotations is not None else {volumes.PROVISIONER: "example.com/disk"},
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "disk",
            "resources": {"requests": {"storage": "1Gi"}},
            **spec,
        },
        "status": {"phase": "Pending"},
    }


WAITS = CLASS | {"volumeBindingMode": "WaitForFirstConsumer"}
ASKED = {volumes.PROVISIONER: "example.com/disk"}


@pytest.mark.parametrize(
    ("given", "storage_class", "due"),
    [
        (claim(), CLASS, True),
        (claim({volumes.PROVISIONER_BETA: "example.com/disk"}), CLASS, True),
        (claim({}), CLASS, False),
        (claim(), None, False),
        (claim(), WAITS, False),
        (claim(ASKED | {volumes.SELECTED_NODE: "node"}), WAITS, True),
        (claim(volumeName="pv"), CLASS, False),
        (claim(), CLASS | {"provisioner": volumes.NO_PROVISIONER}, False),
        (claim(), CLASS | {"provisioner": "example.com/never-there"}, False),
        (claim(), CLASS | {"metadata": {"name": "disk", "annotations": {volumes.NEVER: "true"}}}, False),
    ],
)
def test_when_a_volume_is_due(given: Object, storage_class: Object | None, due: bool) -> None:
    assert volumes.due(given, storage_class) is due


def test_the_volume_that_is_made() -> None:
    made = volumes.volume_for(claim(), CLASS)
    assert made["metadata"]["name"] == "pvc-u-1"
    assert made["metadata"]["annotations"] == {volumes.PROVISIONED_BY: "example.com/disk"}
    assert made["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert made["spec"]["storageClassName"] == "disk"
    assert made["spec"]["capacity"] == {"storage": "1Gi"}
    assert made["spec"]["claimRef"]["uid"] == "u-1"


@pytest.mark.parametrize(
    ("wanted", "has", "storage_class", "size"),
    [
        ("2Gi", "1Gi", CLASS, "2Gi"),
        ("1024Mi", "1Gi", CLASS, ""),
        ("1Gi", "2Gi", CLASS, ""),
        ("2Gi", "1Gi", CLASS | {"allowVolumeExpansion": False}, ""),
        ("2Gi", "1Gi", None, ""),
    ],
)
def test_growth(wanted: str, has: str, storage_class: Object | None, size: str) -> None:
    given = claim(volumeName="pv", resources={"requests": {"storage": wanted}})
    given["status"] = {"phase": "Bound", "capacity": {"storage": has}}
    assert volumes.growth(given, {"spec": {}}, storage_class) == size


def volume(phase: str, policy: str, annotations: dict[str, str]) -> Object:
    return {
        "metadata": {"name": "pv", "annotations": annotations},
        "spec": {"persistentVolumeReclaimPolicy": policy},
        "status": {"phase": phase},
    }


MADE = {volumes.PROVISIONED_BY: "example.com/disk"}


@pytest.mark.parametrize(
    ("given", "removable"),
    [
        (volume("Released", "Delete", MADE), True),
        (volume("Released", "Retain", MADE), False),
        (volume("Bound", "Delete", MADE), False),
        (volume("Released", "Delete", {}), False),
    ],
    ids=["released", "retained", "bound", "made by hand"],
)
def test_which_volumes_are_deleted(given: Object, removable: bool) -> None:
    assert volumes.removable(given) is removable
