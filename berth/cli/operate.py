"""operate: the operations that a profile declares, run by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from invoke.context import Context

from berth.cli import options
from berth.cli.common import Flags, Option, berth_task, note, one_of, ordinals_of
from berth.core.errors import ExitCode, InterruptedRunError

if TYPE_CHECKING:
    from berth.actions.operations import Result
    from berth.core.operations import Operation


@berth_task(
    *options.ONE_RELEASE,
    Option("operation", "what to run: ready, role or another one of the profile; without it, they are listed"),
    Option("ordinal", "only in the pod of this ordinal; may be given several times", many=True),
    options.TEXT_OR_JSON,
)
def operate(ctx: Context, flags: Flags) -> int | None:
    """Run an operation of a profile in the pods of its release: invoke operate --profile postgres --operation role.

    One line a pod. Exit code 0 when it passed in all of them, else 1; where the cluster runs no containers, it has not
    passed. Ctrl-C ends the waiting; a command that runs in a container goes on there.
    """
    one_of("output", flags.output, ("text", "json"))
    ordinals = ordinals_of(flags.ordinal)
    from berth.actions.operate import operate as run
    from berth.actions.operate import pick
    from berth.cli.target import one_release, require_one

    require_one(flags)
    if flags.profile and not flags.operation:
        return _list(flags.profile, declared(flags.profile), flags.output)
    if flags.profile:
        pick(declared(flags.profile), flags.operation, flags.profile)  # Before a cluster is asked for anything.
    with one_release(ctx, flags) as (kube, record, target):
        operations = declared(record.profile)
        if not flags.operation:
            return _list(record.profile, operations, flags.output)
        operation = pick(operations, flags.operation, record.profile)
        try:
            if flags.output == "text":
                print(f"target: {target}")
            results = list(_shown(run(kube, record, operations, operation, ordinals), flags.output))
        except KeyboardInterrupt:
            raise InterruptedRunError("interrupted; a command that runs in a container goes on there") from None
    if flags.output == "json":
        head = {"release": record.name, "namespace": record.namespace, "operation": operation.name}
        print(json.dumps({**head, "results": [_result_json(result) for result in results]}))
    return ExitCode.DONE if all(result.passed for result in results) else ExitCode.FAILED


def _shown(results: Iterator[Result], output: str) -> Iterator[Result]:
    """The results, each printed as soon as it is there."""
    for result in results:
        if output == "text":
            print("\n".join(_lines(result)), flush=True)
        yield result


def _lines(result: Result) -> list[str]:
    """One line; an output of several lines goes below it."""
    printed = result.output.splitlines()
    inline = printed[0] if result.passed and len(printed) == 1 else ""
    head = f"{result.pod}  {result.operation}  {result.outcome}  {result.why or inline}".rstrip()
    return [head] if inline else [head, *(f"  | {line}".rstrip() for line in printed)]


def _result_json(result: Result) -> dict[str, object]:
    return {
        "pod": result.pod,
        "ordinal": result.ordinal,
        "outcome": result.outcome.value,
        "code": result.code,
        "output": result.output,
        "why": result.why,
        "seconds": round(result.seconds, 3),
    }


def _list(profile: str, operations: Mapping[str, Operation], output: str) -> ExitCode:
    from berth.core.operations import ROLES

    if output == "json":
        print(json.dumps([_operation_json(operation) for operation in operations.values()], indent=2))
        return ExitCode.DONE
    if not operations:
        note(f"the profile {profile} declares no operations")
        return ExitCode.DONE
    rows: list[Sequence[str]] = [("OPERATION", "PODS", "RUNS", "DESCRIPTION")]
    for name, operation in operations.items():
        rows.append((name, operation.pods, ROLES.get(name, "by people"), operation.description))
    from berth.cli.profiles import aligned

    print("\n".join(aligned(rows)))
    return ExitCode.DONE


def _operation_json(operation: Operation) -> dict[str, object]:
    return {
        "name": operation.name,
        "command": list(operation.command),
        "container": operation.container,
        "timeout": operation.timeout,
        "pods": operation.pods,
        "step": operation.step,
        "between": dict(operation.between),
        "claims": operation.claims,
        "description": operation.description,
        "output": operation.output,
    }


def declared(profile: str) -> dict[str, Operation]:
    """The operations of a profile.

    Raises:
        ProfileError: there is no such profile.
    """
    from berth.core.operations import operations_of
    from berth.library import open_library

    return operations_of(open_library().load(profile))
