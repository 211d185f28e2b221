"""What the operations of a profile may say, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from berth.core.errors import ProfileError
from berth.core.operations import Operation, operations_of
from berth.core.profile import Profile
from berth.library import open_library
from tests.unit.engine.support import profile_from

pytestmark = pytest.mark.unit

HEAD = 'name: redis\ndescription: a test\nversion: "1.0.0"\n'


def profile(operations: str, **others: str) -> Profile:
    """A profile with these operations, each line as it would stand below the word."""
    body = "".join(f"  {line}\n" for line in operations.splitlines())
    return profile_from({"redis": f"{HEAD}{others.pop('head', '')}operations:\n{body}", **others}, "redis")


def problems(operations: str, **others: str) -> list[tuple[str, str, str]]:
    """What is wrong: line, what, hint."""
    with pytest.raises(ProfileError) as caught:
        profile(operations, **others)
    return [(each.where.partition(":")[2].partition(":")[0], each.what, each.hint) for each in caught.value.problems]


def test_every_field_has_its_meaning_and_its_default() -> None:
    whole = (
        "beforeScaleDown: {command: [sh, -c, leave], container: redis, timeout: 6h, pods: condemned, step: 1,\n"
        "  between: {allowEven: true}, claims: unusable, description: It leaves, output: 0 means that it may go}\n"
        "ping: {command: [redis-cli, ping]}"
    )
    found = operations_of(profile(whole))
    assert found["beforeScaleDown"] == Operation(
        name="beforeScaleDown",
        command=("sh", "-c", "leave"),
        container="redis",
        timeout=21600.0,
        pods="condemned",
        step=1,
        between={"allowEven": True},
        claims="unusable",
        description="It leaves",
        output="0 means that it may go",
    )
    assert found["ping"] == Operation("ping", ("redis-cli", "ping"), "", 30.0, "each", None, {}, None, "", "")


def test_the_built_in_profiles_say_how_to_ask_whether_they_are_ready() -> None:
    library = open_library(Path(__file__).resolve().parents[3])
    for name in library.names():
        operation = operations_of(library.load(name))["ready"]
        assert operation.container and operation.description and operation.output, name


@pytest.mark.parametrize(
    ("line", "what", "hint"),
    [
        ("ready: {cmd: [a]}", "operations.ready.cmd", "'command'"),
        ("ready: {command: []}", "operations.ready.command", ""),
        ("ready: {command: sh -c x}", "operations.ready.command", ""),
        ("ready: {command: [sleep, 5]}", "operations.ready.command[1]", ""),
        ('ready: {command: ["", x]}', "operations.ready.command[0]", ""),
        ("ready: {command: [a], timeout: soon}", "operations.ready.timeout", ""),
        ("ready: {command: [a], timeout: 0}", "operations.ready.timeout", ""),
        ("ready: {command: [a], timeout: 0s}", "operations.ready.timeout", ""),
        ("ready: {command: [a], pods: all}", "operations.ready.pods", "each"),
        ("ready: {command: [a], container: No_Name}", "operations.ready.container", ""),
        ("afterScaleUp: {command: [a], step: 0}", "operations.afterScaleUp.step", ""),
        ("afterScaleUp: {command: [a], step: 1, between: {}}", "operations.afterScaleUp.between", ""),
        ("beforeScaleDown: {command: [a], claims: gone}", "operations.beforeScaleDown.claims", "unusable"),
        ("ready: null", "operations.ready", ""),
        ("Ready: {command: [a]}", "operations", ""),
        # What no schema says:
        ("ready: {timeout: 5s}", "operations.ready: it has no command", "command: [PROGRAM, ARGUMENT, ...]"),
        (
            "before-scale-down: {command: [a]}",
            "operations.before-scale-down: berth would not run it",
            "'beforeScaleDown'",
        ),
        ("afterScaledown: {command: [a]}", "operations.afterScaledown: berth would not run it", "'afterScaleDown'"),
        ("ready: {command: [a], pods: one}", "operations.ready: berth runs ready on every pod", "pods: each"),
        ("promote: {command: [a], pods: condemned}", "operations.promote: only beforeScaleDown knows", "pods: one"),
        ("promote: {command: [a], step: 1}", "operations.promote: step means something for", "leave it out"),
        ("afterScaleUp: {command: [a], claims: unusable}", "operations.afterScaleUp: claims means", "leave it out"),
        ("afterScaleUp: {command: [a], between: {a: 1}}", "operations.afterScaleUp: there are no steps", "step: 1"),
    ],
)
def test_a_mistake_has_its_line(line: str, what: str, hint: str) -> None:
    ((where, said, tried),) = problems(f"fine: {{command: [true-ish]}}\n{line}")
    assert where == "6"
    assert said.startswith(what) and hint in tried + said


def test_mistakes_are_told_together() -> None:
    found = problems("ready: {pods: one}\npromote: {command: [a], step: 2}\nBACKUP: {command: [a]}")
    assert len(found) == 1, "first what a schema sees"
    found = problems("ready: {pods: one}\npromote: {command: [a], step: 2}")
    assert [where for where, _, _ in found] == ["5", "5", "6"]


def test_a_profile_adds_to_the_operations_of_its_base() -> None:
    base = 'name: base\ndescription: a test\nversion: "1.0.0"\nabstract: true\noperations:\n  ready: {timeout: 5s}\n'
    made = profile("ready: {command: [a]}", head="extends: base\n", base=base)
    assert operations_of(made)["ready"].timeout == 5
    ((where, what, _),) = problems("role: {command: [a]}", head="extends: base\n", base=base)
    assert (where, what) == ("1", "operations.ready: it has no command")
