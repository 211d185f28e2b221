"""Probes, hooks and the handlers of both. Source: kubernetes pkg/apis/core/validation."""

from __future__ import annotations

from typing import Any

from berth.core.objects import Json
from berth.rehearsal.validation import formats
from berth.rehearsal.validation.errors import (
    Errors,
    all_invalid,
    forbidden,
    invalid,
    not_negative,
    not_supported,
    required,
)

#: Handlers in the order in which the server looks for them.
HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")


def port(path: str, found: Any) -> Errors:
    """A port's number, or its name."""
    if isinstance(found, str):
        return all_invalid(path, found, formats.port_name(found))
    return all_invalid(path, found or 0, formats.port_number(found or 0))


def probe(path: str, found: Json, grace: int | None) -> Errors:
    """What holds of every probe."""
    wrong = handler(path, found, grace)
    numbers = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
    for key in numbers:
        wrong += not_negative(f"{path}.{key}", found.get(key))
    own = found.get("terminationGracePeriodSeconds")
    if own is not None and own <= 0:
        wrong.append(invalid(f"{path}.terminationGracePeriodSeconds", own, "must be greater than 0"))
    return wrong


def probes(path: str, container: Json, grace: int | None) -> Errors:
    """The three probes of a container."""
    wrong: Errors = []
    if (found := container.get("livenessProbe")) is not None:
        wrong += probe(f"{path}.livenessProbe", found, grace) + _once(f"{path}.livenessProbe", found)
    if (found := container.get("readinessProbe")) is not None:
        wrong += probe(f"{path}.readinessProbe", found, grace)
        if found.get("terminationGracePeriodSeconds") is not None:
            at, own = f"{path}.readinessProbe.terminationGracePeriodSeconds", found["terminationGracePeriodSeconds"]
            wrong.append(invalid(at, own, "must not be set for readinessProbes"))
    if (found := container.get("startupProbe")) is not None:
        wrong += probe(f"{path}.startupProbe", found, grace) + _once(f"{path}.startupProbe", found)
    return wrong


def _once(path: str, found: Json) -> Errors:
    times = found.get("successThreshold", 0)
    return [] if times == 1 else [invalid(f"{path}.successThreshold", times, "must be 1")]


def lifecycle(path: str, found: Json, grace: int | None) -> Errors:
    """The hooks of a container."""
    wrong: Errors = []
    for key in ("postStart", "preStop"):
        if found.get(key) is not None:
            wrong += handler(f"{path}.{key}", found[key], grace)
    return wrong


def handler(path: str, found: Json, grace: int | None) -> Errors:
    """What a probe or a hook does: exactly one thing."""
    wrong: Errors = []
    taken = False
    for key in HANDLERS:
        each = found.get(key)
        if each is None:
            continue
        at = f"{path}.{key}"
        if taken:
            wrong.append(forbidden(at, "may not specify more than 1 handler type"))
            continue
        taken = True
        if key == "exec":
            wrong += [] if each.get("command") else [required(f"{at}.command")]
        elif key == "httpGet":
            wrong += _http(at, each)
        elif key == "sleep":
            wrong += _sleep(at, each, grace)
        else:
            wrong += port(f"{at}.port", each.get("port", 0))
    return wrong if taken else [*wrong, required(path, "must specify a handler type")]


def _http(path: str, found: Json) -> Errors:
    wrong: Errors = [] if found.get("path") else [required(f"{path}.path")]
    wrong += port(f"{path}.port", found.get("port", 0))
    if found.get("scheme") not in ("HTTP", "HTTPS"):
        wrong.append(not_supported(f"{path}.scheme", found.get("scheme", ""), ("HTTP", "HTTPS")))
    for each in found.get("httpHeaders") or ():
        wrong += all_invalid(f"{path}.httpHeaders", each.get("name", ""), formats.header(each.get("name", "")))
    return wrong


def _sleep(path: str, found: Json, grace: int | None) -> Errors:
    seconds = found.get("seconds", 0)
    if grace is None or 0 <= seconds <= grace:
        return []
    return [invalid(path, seconds, f"must be non-negative and less than terminationGracePeriodSeconds ({grace})")]
