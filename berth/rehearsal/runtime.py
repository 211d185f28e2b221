"""What would run inside containers: commands and logs. Nothing does, and every answer that no scenario gives says so.

Source of the refusals: kubernetes pkg/registry/core/pod/strategy.go (validateContainer, streamLocation) and
pkg/kubelet/kubelet_pods.go (validateContainerLogStatus).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal import scenario, scenarioclock
from berth.rehearsal.clock import seconds_of
from berth.rehearsal.controllers.nodes import is_lost
from berth.rehearsal.controllers.podplan import facts_of
from berth.rehearsal.jsontree import dig
from berth.rehearsal.kinds import PODS
from berth.rehearsal.refusal import ApiError, bad_request
from berth.rehearsal.scenario import ExecAnswer, PodRule

if TYPE_CHECKING:
    from berth.rehearsal.world import World

__all__ = ["ExecAnswer", "LogOptions", "check_stream", "exec", "logs"]

NO_LOGS = "This container is part of a rehearsal: no process runs in it, and so it writes nothing."
#: The reason of a refusal's cause where the scenario answers no command in any pod.
NO_ANSWERS = "NoAnswers"
_KEY_LISTS = ("initContainers", "containers", "ephemeralContainers")


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Which part of a log is wanted; None is all of it. ``since`` is in seconds since the epoch."""

    container: str = ""
    previous: bool = False
    tail: int | None = None
    limit_bytes: int | None = None
    since: float | None = None
    timestamps: bool = False


def exec(world: World, namespace: str, name: str, container: str, command: Sequence[str]) -> ExecAnswer:
    """What a command inside a container answers; ``container`` is "" for the only one.

    Raises:
        ApiError: 404 no such pod; 400 no such container, or no node yet; 500 it does not run, its node is lost, or the
            scenario knows no answer: nothing runs in a rehearsal.
    """
    pod, container = _running(world, namespace, name, container)
    answer = scenario.exec_answer(_rules(world, pod), container, _image(pod, container), command)
    if answer is None:
        where = f"container {container!r} of pod {name!r}"
        what = f"the scenario has no answer for the command {' '.join(command)!r} in {where}"
        # A client that asks many pods need not ask the others where the scenario has no answer for anything.
        known = any(rule.exec for rule in world.scenario.pods)
        raise _nothing_runs(f"{what}; one can be given in pods: exec:", "" if known else NO_ANSWERS)
    return answer


def check_stream(world: World, namespace: str, name: str, container: str, what: str) -> None:
    """Refuse an attach or a port-forward (``what`` names it) as the API server would, and else because nothing runs."""
    _, container = _running(world, namespace, name, container)
    raise _nothing_runs(f"there is nothing in container {container!r} of pod {name!r} for {what}")


def logs(world: World, namespace: str, name: str, options: LogOptions) -> str:
    """What a container has written so far; the scenario's lines, or one that says that nothing runs here.

    Raises:
        ApiError: 404 no such pod; 400 no such container, or it has not started, or not ended before.
    """
    pod = world.registry.get(PODS, namespace, name)
    container = _container(pod, options.container)
    if not pod["spec"].get("nodeName"):
        return ""
    _check_node(world, pod)
    started, exit_code = _written(pod, container, previous=options.previous)
    lines = scenario.logs(_rules(world, pod), container, _image(pod, container))
    if lines is None:
        lines = (NO_LOGS,) if exit_code is None else (NO_LOGS, f"It was made to end with exit code {exit_code}.")
    if options.since is not None and seconds_of(started) < options.since:
        return ""
    if options.tail is not None:
        lines = lines[len(lines) - options.tail :] if options.tail < len(lines) else lines
        lines = lines if options.tail else ()
    if options.timestamps:
        stamp = started.removesuffix("Z") + ".000000000Z"
        lines = tuple(f"{stamp} {line}" for line in lines)
    text = "".join(f"{line}\n" for line in lines)
    if options.limit_bytes is not None:
        text = text.encode()[: options.limit_bytes].decode("utf-8", "ignore")
    return text


def _running(world: World, namespace: str, name: str, container: str) -> tuple[Json, str]:
    """The pod, and which container of it is meant, both seen to be there."""
    pod = world.registry.get(PODS, namespace, name)
    container = _container(pod, container)
    if not pod["spec"].get("nodeName"):
        raise bad_request(f"pod {name} does not have a host assigned")
    _check_node(world, pod)
    entry = _entry(pod, container)
    if entry is None or "running" not in entry["state"]:
        raise ApiError(500, "InternalError", f'container not found ("{container}")')
    return pod, container


def _container(pod: Json, wanted: str) -> str:
    meta, spec = pod["metadata"], pod["spec"]
    names = [one["name"] for key in _KEY_LISTS for one in spec.get(key) or ()]
    if wanted:
        if wanted not in names:
            raise bad_request(f"container {wanted} is not valid for pod {meta['name']}")
        return wanted
    if len(spec["containers"]) > 1:
        words = f"a container name must be specified for pod {meta['name']}, choose one of: [{' '.join(names)}]"
        raise bad_request(words)
    return str(spec["containers"][0]["name"])


def _check_node(world: World, pod: Json) -> None:
    node = pod["spec"]["nodeName"]
    if is_lost(world, node):
        host = dig(pod, "status", "hostIP") or node
        message = f"Internal error occurred: error dialing backend: dial tcp {host}:10250: i/o timeout"
        raise ApiError(500, "InternalError", message, {"causes": [{"message": message.partition(": ")[2]}]})


def _entry(pod: Json, container: str) -> Json | None:
    for key in ("initContainerStatuses", "containerStatuses"):
        for entry in dig(pod, "status", key) or ():
            if entry["name"] == container:
                found: Json = entry
                return found
    return None


def _written(pod: Json, container: str, *, previous: bool) -> tuple[str, int | None]:
    """When the run of the container began whose log is wanted, and how it ended, None while it goes on."""
    name = pod["metadata"]["name"]
    where = f'container "{container}" in pod "{name}"'
    entry = _entry(pod, container)
    if entry is None:
        raise bad_request(f"{where} is not available")
    state, last = entry["state"], (entry.get("lastState") or {}).get("terminated")
    if previous:
        if last is None:
            raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
        return last["startedAt"], last["exitCode"]
    if "running" in state:
        return state["running"]["startedAt"], None
    ended = state.get("terminated") or last
    if ended is not None:
        return ended["startedAt"], ended["exitCode"]
    reason = dig(state, "waiting", "reason") or ""
    words = {"ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image"}
    raise bad_request(f"{where} is waiting to start: {words.get(reason, reason)}")


def _rules(world: World, pod: Json) -> Sequence[PodRule]:
    if not world.scenario.pods:
        return ()
    return world.scenario.rules(facts_of(world.store, pod), scenarioclock.elapsed(world))


def _image(pod: Json, container: str) -> str:
    for key in _KEY_LISTS:
        for one in pod["spec"].get(key) or ():
            if one["name"] == container:
                return str(one["image"])
    return ""


def _nothing_runs(why: str, reason: str = "") -> ApiError:
    message = f"nothing runs in a rehearsal: {why}"
    cause = {"reason": reason, "message": message} if reason else {"message": message}
    return ApiError(500, "InternalError", f"Internal error occurred: {message}", {"causes": [cause]})
