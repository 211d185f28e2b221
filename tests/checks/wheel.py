"""Builds the wheel, installs it into an empty virtual environment, and uses it from an empty directory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: What must be inside, besides the code: it is data, so that a forgotten line of configuration loses it silently.
NEEDED = (
    "berth/_builtin/profiles/stateful.yaml",
    "berth/_builtin/profiles/postgres.yaml",
    "berth/_builtin/templates/_macros/statefulset.yaml",
    "berth/_builtin/templates/postgres/statefulset.yaml",
    "berth/controlplane/go/go.mod",
    "berth/controlplane/go/go.sum",
    "berth/controlplane/go/helm/go.mod",
    "berth/controlplane/manifests/cluster.yaml",
    "berth/py.typed",
    "berth/rehearsal/data/kubernetes.json",
    "berth/rehearsal/scenario.schema.json",
)


def run(*command: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    """The standard output of a command; its failure ends the check with what it printed."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def main() -> None:
    """Check the wheel."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", name, str(ROOT), cwd=place)
        (wheel,) = place.glob("berth-*.whl")
        missing = set(NEEDED) - set(zipfile.ZipFile(wheel).namelist())
        if missing:
            sys.exit(f"the wheel lacks {', '.join(sorted(missing))}")
        venv.create(place / "venv", with_pip=True)
        bin_, empty = place / "venv/bin", place / "empty"
        empty.mkdir()
        env = {"PATH": f"{bin_}:{os.environ['PATH']}", "HOME": str(empty)}
        run(str(bin_ / "pip"), "install", "--quiet", f"{wheel}", cwd=place)
        listed = run(str(bin_ / "berth"), "profiles", cwd=empty, env=env)
        for profile in ("nginx", "httpd", "postgres", "zookeeper", "cassandra"):
            assert profile in listed, listed
            assert "kind: StatefulSet" in run(str(bin_ / "berth"), "render", "--profile", profile, cwd=empty, env=env)
        (empty / "tasks.py").write_text("from berth.cli import namespace\n\n__all__ = ['namespace']\n")
        run(str(bin_ / "invoke"), "profiles.new", "--name", "redis", cwd=empty, env=env)
        assert "kind: StatefulSet" in run(str(bin_ / "invoke"), "render", "--profile", "redis", cwd=empty, env=env)
        run(str(bin_ / "invoke"), "lint", "--profile", "redis", "--no-schemas", cwd=empty, env=env)
        # Where there is no cluster, the rehearsal is: with nothing but what was just installed.
        try:
            up = run(str(bin_ / "berth"), "up", "--profile", "nginx", "--env", "dev", cwd=empty, env=env)
            assert "web is current" in up and "rehearsal cluster (simulated" in up, up
        finally:
            run(str(bin_ / "berth"), "cluster.delete", "--yes", cwd=empty, env=env)
        print(f"{wheel.name}: {wheel.stat().st_size // 1024} KiB, works from an empty environment")


if __name__ == "__main__":
    main()
