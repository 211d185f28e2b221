"""The program `helm`: renders a chart, or fetches one. It talks to no cluster, and runs nothing of the user's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from berth.core.errors import InputError, LocalError

#: Seconds for a rendering, which takes a tenth of one, and for fetching a chart.
RENDER_LIMIT, FETCH_LIMIT = 60.0, 300.0

#: What of the environment helm gets: where its settings of repositories are, the proxy, certificates.
_KEPT = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "DOCKER_CONFIG")
_KEPT_PREFIXES = ("XDG_", "HELM_")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def helm(arguments: Sequence[str], limit: float, stdin: str = "") -> tuple[int, str, str]:
    """Run helm; its exit code, what it wrote, and what it said of it.

    Raises:
        LocalError: there is no helm, it does not start, or it takes longer than ``limit`` seconds.
    """
    import subprocess

    program = shutil.which("helm")
    if program is None:
        raise LocalError(
            "there is no program helm on this machine, and the profile takes its objects from a chart",
            hint="install Helm (helm.sh/docs/intro/install), and see that it is on the PATH",
        )
    try:
        done = subprocess.run(
            [program, *arguments],
            input=stdin.encode(),
            env=environment(os.environ),
            capture_output=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LocalError(
            f"helm {arguments[0]} has not ended after {limit:.0f} s",
            hint="see whether the chart's repository answers, or whether a template of the chart does not end",
        ) from None
    except OSError as error:
        raise LocalError(f"{program} does not start: {error.strerror or error}") from None
    try:
        return done.returncode, done.stdout.decode(), done.stderr.decode(errors="replace")
    except UnicodeDecodeError:
        raise InputError(f"helm {arguments[0]} wrote something that is no UTF-8 text") from None


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Helm's environment: no cluster, no plugins, and of the user's what repositories need."""
    kept = {
        name: value
        for name, value in given.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIXES) or name.upper() in _PROXIES
    }
    dropped = [name for name in kept if name.startswith("HELM_KUBE") or name in ("HELM_NAMESPACE", "HELM_DEBUG")]
    for name in dropped:
        del kept[name]
    return {**kept, "HELM_PLUGINS": os.devnull, "KUBECONFIG": os.devnull}


def fetch(repository: str, name: str, version: str, into: Path) -> Path:
    """The package of a chart, fetched into an empty directory.

    Raises:
        InputError: the repository has no such chart, or does not give it.
        LocalError: there is no helm, or it takes too long.
    """
    if repository.startswith("oci://"):
        which = [f"{repository}/{name}"]
    else:
        which = [name, "--repo", repository]
    code, _, said = helm(["pull", *which, "--version", version, "--destination", str(into)], FETCH_LIMIT)
    packages = sorted(into.glob("*.tgz"))
    if code or len(packages) != 1:
        lines = [line for line in said.strip().splitlines() if line]
        what = "\n".join(lines).removeprefix("Error: ") or "it gave no package"
        raise InputError(
            f"helm cannot fetch the chart {name} {version}: {what}",
            hint=f"`helm show chart {' '.join(which)} --version {version}`; `helm registry login` where it asks for it",
        )
    return packages[0]
