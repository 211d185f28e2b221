"""Paths, the kubeconfig, command lines and a start that fails: without any component."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from berth import controlplane
from berth.controlplane import engine, kubeconfig
from berth.controlplane.components import COMPONENTS, PROGRAMS, Ports, command, environment, running
from berth.controlplane.paths import Layout
from berth.core.errors import InputError, LocalError

pytestmark = pytest.mark.unit

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path))
    made = Layout.of("pure")
    made.create()
    return made


def test_an_editor_of_our_files_is_no_component(layout: Layout) -> None:
    bystander = subprocess.Popen([*SLEEPER, str(layout.pki / "admin.key")], stdout=subprocess.DEVNULL)
    try:
        assert running(layout.root) == []
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("name", ["", "Default", "a/b", "..", "-a", "a" * 33, "a\n"])
def test_a_name_that_is_no_label_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot name a control plane"):
        Layout.of(name)


def test_a_plane_that_never_was_has_no_components(layout: Layout) -> None:
    found = controlplane.status("never")
    assert not found.running
    assert found.components == ()
    assert found.since is None
    assert controlplane.kubeconfig_path("never") == found.kubeconfig
    assert not controlplane.stop("never").running
    controlplane.delete("never")


def test_the_administrators_kubeconfig_is_private_and_named(layout: Layout) -> None:
    for name in ("admin.crt", "admin.key", "ca.crt"):
        (layout.pki / name).write_text(name)
    kubeconfig.write_admin(layout, "https://127.0.0.1:1")
    assert stat.S_IMODE(layout.kubeconfig.stat().st_mode) == 0o600
    assert "current-context: berth-local-pure" in layout.kubeconfig.read_text()
    default = Layout("default", layout.root)
    kubeconfig.write_admin(default, "https://127.0.0.1:1")
    assert "current-context: berth-local\n" in layout.kubeconfig.read_text()


def test_a_component_that_dies_is_an_error_with_its_last_words(layout: Layout, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).write_text(f"#!/bin/sh\necho last words of {name}\nexit 1\n")
        (programs / name).chmod(0o755)
    with pytest.raises(LocalError) as raised:
        engine.start("pure", binaries=programs, report=print)
    text = str(raised.value)
    assert "ended while the control plane was starting" in text
    assert "last words of" in text
    assert str(layout.root / "logs") in text


def test_no_component_is_given_a_proxy_or_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com")
    monkeypatch.setenv("SOME_TOKEN", "secret")
    for component in COMPONENTS:
        assert not {"HTTPS_PROXY", "SOME_TOKEN"} & environment(component).keys()


def test_command_lines_listen_on_the_loopback_interface_only(layout: Layout) -> None:
    for component in COMPONENTS:
        line = " ".join(command(component, layout, Ports(1, 2, 3, 4), Path("/programs")))
        assert "0.0.0.0" not in line
    assert "--anonymous-auth=false" in command("kube-apiserver", layout, Ports(1, 2, 3, 4), Path("/programs"))
