"""Subresources that do something: log, exec, attach, port-forward, eviction, binding."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from berth.core.objects import Json
from berth.rehearsal.clock import seconds_of
from berth.rehearsal.jsontree import dig
from berth.rehearsal.kinds import PODS, Kind
from berth.rehearsal.refusal import ApiError, FieldError, bad_request, conflict, invalid
from berth.rehearsal.registry import Options
from berth.rehearsal.server import bodies, negotiation, websocket, wishes
from berth.rehearsal.server.messages import Address, Answer, Channel, Connection, Request
from berth.rehearsal.server.negotiation import encode

if TYPE_CHECKING:
    from berth.rehearsal.runtime import ExecAnswer, LogOptions
    from berth.rehearsal.world import World

_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_EVICTION = Kind("policy", "v1", "Eviction", "evictions")
_BINDING = Kind("", "v1", "Binding", "bindings")
_STDOUT, _STDERR, _ERROR = 1, 2, 3
#: Bytes of output in one message.
_PIECE = 1 << 15
#: Seconds between two looks whether a log that is followed has ended, or its reader.
_LOOK = 0.5


def answer(world: World, request: Request, at: Address) -> Answer:
    """Do what a subresource is for.

    Raises:
        ApiError: it is refused.
    """
    if at.subresource == "log":
        return _log(world, request, at)
    if at.subresource == "eviction":
        return _evict(world, request, at)
    if at.subresource == "binding":
        return _bind(world, request, at)
    return _exec(world, request, at) if at.subresource == "exec" else _no_stream(world, request, at)


def _log(world: World, request: Request, at: Address) -> Answer:
    from berth.rehearsal import runtime

    with world.request():
        options = _log_options(world, request, at.name)
        text = runtime.logs(world, at.namespace or "", at.name, options)
    if not request.flag("follow"):
        return Answer(200, text.encode(), "text/plain")

    def follow(connection: Connection) -> None:
        connection.send(text.encode())
        uid = _uid(world, at)
        while uid is not None and uid == _uid(world, at) and not world.closed and not connection.gone():
            time.sleep(_LOOK)

    return Answer(200, content_type="text/plain", stream=follow)


def _uid(world: World, at: Address) -> str | None:
    """The identity of a pod that has not ended; None where it has."""
    with world.lock:
        pod = world.store.get(PODS, at.namespace or "", at.name)
    if pod is None or dig(pod, "status", "phase") in ("Succeeded", "Failed"):
        return None
    return str(pod["metadata"]["uid"])


def _log_options(world: World, request: Request, pod: str) -> LogOptions:
    from berth.rehearsal.runtime import LogOptions

    errors = []
    tail, limit, since = (request.number(name) for name in ("tailLines", "limitBytes", "sinceSeconds"))
    if tail is not None and tail < 0:
        errors.append(_wrong("tailLines", tail, "must be greater than or equal to 0"))
    if limit is not None and limit < 1:
        errors.append(_wrong("limitBytes", limit, "must be greater than 0"))
    moment = request.text("sinceTime")
    if since is not None and moment:
        detail = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        errors.append(FieldError("FieldValueForbidden", "[]", detail))
    elif since is not None and since < 1:
        errors.append(_wrong("sinceSeconds", since, "must be greater than 0"))
    if errors:
        raise invalid(Kind("", "v1", "PodLogOptions", "podlogoptions"), pod, errors)
    begin = None if since is None else world.clock.now() - since
    if moment:
        try:
            begin = seconds_of(moment)
        except ValueError:
            words = f'parsing time "{moment}" as "2006-01-02T15:04:05Z07:00": cannot parse "{moment}" as "2006"'
            raise bad_request(words) from None
    return LogOptions(
        container=request.text("container"),
        previous=request.flag("previous"),
        tail=tail,
        limit_bytes=limit,
        since=begin,
        timestamps=request.flag("timestamps"),
    )


def _wrong(path: str, value: int, words: str) -> FieldError:
    return FieldError("FieldValueInvalid", path, f"Invalid value: {value}: {words}")


def _evict(world: World, request: Request, at: Address) -> Answer:
    from berth.rehearsal import eviction

    form = negotiation.wanted(request)
    options = wishes.options(request, "CreateOptions")
    body = bodies.read_typed(request, _EVICTION, options)
    wishes.check_deletion(body.get("deleteOptions") or {})
    with world.request():
        done = eviction.evict(world, at.namespace or "", at.name, body, options)
    return Answer(201, form.encode(done), form.media_type)


def _bind(world: World, request: Request, at: Address) -> Answer:
    """A pod put on a node by a scheduler that is not ours."""
    form = negotiation.wanted(request)
    options = wishes.options(request, "CreateOptions")
    body = bodies.read_typed(request, _BINDING, options)
    if dig(body, "metadata", "name") != at.name:
        raise bad_request("name in URL does not match name in Binding object")
    node = dig(body, "target", "name")
    if not node:
        # Without a reason, as the API server has it.
        raise ApiError(500, "", "target.name: Required value")
    with world.request():
        pod = world.registry.get(PODS, at.namespace or "", at.name)
        taken = dig(pod, "spec", "nodeName")
        if taken:
            kind = Kind("", "v1", "Pod", "pods/binding")
            raise conflict(kind, at.name, f'pod {at.name} is already assigned to node "{taken}"')
        if not options.dry_run:
            _bound(world, pod, node, options)
    done = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return Answer(201, form.encode(done), form.media_type)


def _bound(world: World, pod: Json, node: str, options: Options) -> None:
    meta = pod["metadata"]
    trusted = Options(manager=options.manager, trusted=True)
    new = {**pod, "spec": {**pod["spec"], "nodeName": node}}
    bound = world.registry.update(PODS, meta["namespace"], meta["name"], new, trusted)
    condition = {"type": "PodScheduled", "status": "True", "lastProbeTime": None}
    condition |= {"lastTransitionTime": world.clock.timestamp()}
    others = [one for one in dig(bound, "status", "conditions") or () if one["type"] != "PodScheduled"]
    new = {**bound, "status": {**(bound.get("status") or {}), "conditions": [*others, condition]}}
    world.registry.update(PODS, meta["namespace"], meta["name"], new, trusted, "status")


def _exec(world: World, request: Request, at: Address) -> Answer:
    from berth.rehearsal import runtime

    container, command = request.text("container"), request.query.get("command", [])
    said: ExecAnswer | ApiError
    try:
        with world.request():
            said = runtime.exec(world, at.namespace or "", at.name, container, command)
    except ApiError as error:
        if error.code != 500 or websocket.wanted_other(request):
            raise
        # What fails in a container is told over the connection that has been made by then.
        said = error
    if websocket.wanted_other(request):
        raise bad_request(f"exec is spoken over WebSocket here, not over {websocket.wanted_other(request)}")
    if not websocket.wanted(request):
        raise bad_request("Upgrade request required")
    headers = websocket.accept(request, _PROTOCOLS)
    tty = request.flag("tty")
    return Answer(101, headers=headers, upgrade=lambda channel: _play(channel, said, tty=tty))


def _play(channel: Channel, said: ExecAnswer | ApiError, *, tty: bool) -> None:
    """Send the output of a command and how it ended, and let the client close."""
    socket = websocket.WebSocket(channel)
    try:
        if isinstance(said, ApiError):
            status = said.to_status()
        else:
            _send(socket, _STDOUT, said.stdout)
            # A terminal has one stream.
            _send(socket, _STDOUT if tty else _STDERR, said.stderr)
            status = _ended(said.exit_code)
        socket.send(bytes([_ERROR]) + encode(status).strip())
        socket.close()
        while socket.receive() is not None:
            pass
    except OSError:
        return


def _send(socket: websocket.WebSocket, stream: int, text: str) -> None:
    data = text.encode()
    for at in range(0, len(data), _PIECE):
        socket.send(bytes([stream]) + data[at : at + _PIECE])


def _ended(code: int) -> Json:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    words = f"command terminated with non-zero exit code: command terminated with exit code {code}"
    causes: list[Any] = [{"reason": "ExitCode", "message": str(code)}]
    return {
        "metadata": {},
        "status": "Failure",
        "message": words,
        "reason": "NonZeroExitCode",
        "details": {"causes": causes},
    }


def _no_stream(world: World, request: Request, at: Address) -> Answer:
    """Attach and port-forward: to a process, where there is none."""
    from berth.rehearsal import runtime

    with world.request():
        pod = world.registry.get(PODS, at.namespace or "", at.name)
        if not (websocket.wanted(request) or websocket.wanted_other(request)):
            raise bad_request("Upgrade request required")
        # A port is the pod's, whichever of its containers listens.
        first = str(pod["spec"]["containers"][0]["name"])
        container = first if at.subresource == "portforward" else request.text("container")
        runtime.check_stream(world, at.namespace or "", at.name, container, at.subresource)
    raise bad_request("Upgrade request required")
