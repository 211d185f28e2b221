"""What the measurements were taken on and with."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.contenders import Tools
from berth import __version__


def machine(tools: Tools, kubernetes: str) -> dict[str, str]:
    """Cores, memory, model, load and versions, by name."""
    return {
        **processor(),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "berth": __version__,
        "invoke": _package("invoke"),
        "kubernetes (Python client)": _package("kubernetes"),
        "Kubernetes": kubernetes,
        "kubectl": _output([tools.kubectl, "version", "--client"]).partition("\n")[0].rpartition(" ")[2],
        "helm": _output([tools.helm, "version", "--template", "{{.Version}}"]),
    }


def processor() -> dict[str, str]:
    """Cores, memory, model and load, by name."""
    cores = len(os.sched_getaffinity(0))
    return {
        "processor": f"{cores} cores, {_field('/proc/cpuinfo', 'model name')}",
        "memory": f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "load before the run": f"{os.getloadavg()[0]:.1f} (other work on the machine; 0 is best)",
    }


def _field(file: str, name: str) -> str:
    for line in Path(file).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "0"


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
