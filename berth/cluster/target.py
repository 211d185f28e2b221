"""Which cluster a run talks to: chosen by the user, never guessed.

The order is: the context that the caller passes (a flag, else invoke.yaml), else the kubeconfig's current context.
Nothing falls back to another cluster: a context that does not exist is an error, and so is a cluster that is down.
Clusters of this machine have reserved names, which need no kubeconfig of the user's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from os import pathsep
from pathlib import Path

from berth.cluster import kubeconfig as files
from berth.cluster.endpoint import Endpoint
from berth.cluster.kube import Kube
from berth.cluster.transport import Transport, Unreachable
from berth.core.errors import TargetError, did_you_mean

#: The context name that means the control plane of this machine; with -NAME behind it, the one of that name.
LOCAL_PLANE = "berth-local"
#: The context name that means the rehearsal cluster of this machine; with -NAME behind it, the one of that name.
REHEARSAL = "berth-rehearsal"
#: The context name that means the cluster in whose pod we run.
IN_CLUSTER = "in-cluster"


class NoTarget(TargetError):
    """No kubeconfig exists and no context was named: only then may a caller take the rehearsal cluster."""


@dataclass(frozen=True, slots=True)
class Target:
    """A cluster, chosen but not yet spoken to.

    ``description`` is for people: context kind-dev (https://127.0.0.1:6443) from ~/.kube/config. ``namespace`` is the
    context's own default, "" when it has none. ``file`` is the kubeconfig that has the context, ``source`` the same for
    people.
    """

    description: str
    context: str
    server: str
    namespace: str
    source: str
    file: Path
    _endpoint: Callable[[], Endpoint] = field(repr=False)

    def connect(self, *, concurrency: int = 32) -> Kube:
        """A client; nothing is sent yet, so an unreachable server shows at the first request.

        Raises:
            TargetError: certificates or credentials are missing or unreadable, or a plugin failed.
        """
        try:
            transport = Transport(self._endpoint(), concurrency=concurrency)
        except Unreachable as error:
            raise TargetError(f"cannot use {self.description}", why=str(error)) from error
        except (OSError, ValueError) as error:  # ssl.SSLError: a certificate or key that OpenSSL does not take
            raise TargetError(
                f"cannot use {self.description}",
                where=self.source,
                why=f"its certificates do not load: {error}",
                hint="create the kubeconfig anew",
            ) from None
        return Kube(transport, self.description)


def local_name(context: str | None, reserved: str) -> str | None:
    """The name of the local cluster that a context names: "default" for the reserved word itself; None for others."""
    if context == reserved:
        return "default"
    return context.removeprefix(f"{reserved}-") if context and context.startswith(f"{reserved}-") else None


def resolve(
    context: str | None,
    kubeconfig: str | None,
    environ: Mapping[str, str],
    local: Callable[[str], Path | None] = lambda context: None,
) -> Target:
    """Choose the target. ``local`` gives the kubeconfig of a cluster of this machine, None when it is not running.

    Raises:
        NoTarget: there is no kubeconfig at all, and no context was asked for.
        TargetError: the kubeconfig or the context is missing or broken.
    """
    if context == IN_CLUSTER:
        endpoint = files.in_cluster(environ)
        return Target(
            f"context in-cluster ({endpoint.server})",
            IN_CLUSTER,
            endpoint.server,
            "",
            str(files.SERVICE_ACCOUNT),
            files.SERVICE_ACCOUNT,
            lambda: endpoint,
        )
    paths = _paths(kubeconfig, environ)
    config = files.load(paths)
    if context and context not in config.contexts:
        for reserved, start in ((LOCAL_PLANE, "cluster.start --engine kubernetes"), (REHEARSAL, "cluster.start")):
            name = local_name(context, reserved)
            if name is not None:
                start += "" if name == "default" else f" --name {name}"
                return _local(context, local(context), start, environ)
    named = bool(kubeconfig or environ.get("KUBECONFIG"))
    shown = ", ".join(_short(path, environ) for path in (config.files or paths))
    if not config.files and named:
        raise TargetError(
            "the kubeconfig does not exist",
            where=shown,
            why="it was given as --kubeconfig" if kubeconfig else "KUBECONFIG names it",
            hint="name an existing file, or unset KUBECONFIG to use ~/.kube/config",
        )
    if not config.contexts:
        if context:
            raise TargetError(
                f"there is no context {context!r}",
                where=shown,
                why="there is no kubeconfig" if not config.files else "it has no contexts",
            )
        if named:
            raise TargetError("the kubeconfig has no contexts", where=shown)
        raise NoTarget(
            "there is no cluster to talk to",
            why=f"{shown} does not exist and KUBECONFIG is not set" if not config.files else f"{shown} has no contexts",
            hint=f"give --kubeconfig and --context, or --context {REHEARSAL}",
        )
    name = context or config.current
    known = ", ".join(sorted(config.contexts))
    if not name:
        raise TargetError(
            "the kubeconfig has no current context", where=shown, hint=f"choose one with --context: {known}"
        )
    if name not in config.contexts:
        what = f"there is no context {name!r}" if context else f"the current context {name!r} does not exist"
        raise TargetError(what, where=shown, why=f"the contexts are {known}", hint=did_you_mean(name, config.contexts))
    return _target(config, name, environ)


def _local(context: str, path: Path | None, start: str, environ: Mapping[str, str]) -> Target:
    if path is None:
        raise TargetError(f"the cluster {context} of this machine is not running", hint=f"invoke {start}")
    config = files.load([path])
    name = context if context in config.contexts else config.current
    if name not in config.contexts:
        raise TargetError(
            f"the kubeconfig of {context} is unusable",
            where=str(path),
            hint=f"invoke {start.replace('start', 'delete', 1)}, then {start}",
        )
    return _target(config, name, environ, context)


def _target(config: files.KubeConfig, name: str, environ: Mapping[str, str], shown_as: str = "") -> Target:
    server = str(config.cluster_of(name).body.get("server") or "")
    file = config.contexts[name].file
    source = _short(file, environ)
    return Target(
        description=f"context {shown_as or name} ({server}) from {source}",
        context=shown_as or name,
        server=server,
        namespace=str(config.contexts[name].body.get("namespace") or ""),
        source=source,
        file=file,
        _endpoint=lambda: files.endpoint(config, name, environ),
    )


def _paths(kubeconfig: str | None, environ: Mapping[str, str]) -> list[Path]:
    """Where kubectl looks, in its order: the flag, else KUBECONFIG, else ~/.kube/config."""
    if kubeconfig:
        return [Path(kubeconfig).expanduser()]
    listed = [part for part in environ.get("KUBECONFIG", "").split(pathsep) if part]
    return [Path(part) for part in listed] or [_home(environ) / ".kube" / "config"]


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ["HOME"]) if environ.get("HOME") else Path.home()


def _short(path: Path, environ: Mapping[str, str]) -> str:
    """A path as people write it, with ~ for the home directory."""
    home = str(_home(environ))
    text = str(path)
    return "~" + text[len(home) :] if text.startswith(home + "/") else text
