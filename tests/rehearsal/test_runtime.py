"""Commands and logs of containers in which nothing runs, and requests that a scenario lets fail."""

from __future__ import annotations

import pytest

from berth.rehearsal import runtime
from berth.rehearsal.clock import timestamp
from berth.rehearsal.controllers import nodes
from berth.rehearsal.faults import ApiFaults, Call, Failure
from berth.rehearsal.kinds import PODS, STATEFUL_SETS
from berth.rehearsal.refusal import ApiError
from berth.rehearsal.runtime import ExecAnswer, LogOptions
from tests.rehearsal.stage import SPACE, START, Stage, container

pytestmark = pytest.mark.rehearsal

_SCENARIO = """
pods:
  - match: {name: web, container: web}
    logs: [one, two, three]
    exec:
      - {command: "psql *", stdout: "t\\n"}
      - {command: pg_isready, stderr: "no response\\n", exit: 2}
"""


def run(stage: Stage, pod: str, *command: str, container: str = "") -> ExecAnswer:
    return runtime.exec(stage.world, SPACE, pod, container, command)


def read(stage: Stage, pod: str, **options: object) -> str:
    return runtime.logs(stage.world, SPACE, pod, LogOptions(**options))  # type: ignore[arg-type]


def refused(stage: Stage, pod: str, what: str = "logs", **options: object) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        if what == "logs":
            read(stage, pod, **options)
        else:
            run(stage, pod, "ls", container=str(options.get("container", "")))
    return caught.value.code, caught.value.message


def test_commands_answer_as_the_scenario_says() -> None:
    stage = Stage(_SCENARIO)
    stage.add_pod("web")
    stage.settle()
    assert run(stage, "web", "psql", "-c", "select 1") == ExecAnswer("t\n", "", 0)
    assert run(stage, "web", "pg_isready") == ExecAnswer("", "no response\n", 2)


def test_other_commands_are_refused_plainly() -> None:
    stage = Stage(_SCENARIO)
    stage.add_pod("web")
    stage.add_pod("two", containers=[container("a"), container("b")])
    stage.add_pod("bad", containers=[container("a", "nginx:nope")])
    stage.settle()
    code, message = refused(stage, "web", "exec")
    assert code == 500
    assert (
        "nothing runs in a rehearsal: the scenario has no answer for the command 'ls' in container 'web' of " in message
    )
    assert refused(stage, "none", "exec") == (404, 'pods "none" not found')
    assert refused(stage, "web", "exec", container="x") == (400, "container x is not valid for pod web")
    several = "a container name must be specified for pod two, choose one of: [a b]"
    assert refused(stage, "two", "exec") == (400, several)
    assert refused(stage, "bad", "exec") == (500, 'container not found ("a")')
    with pytest.raises(ApiError, match="nothing runs in a rehearsal: there is nothing in container 'web'"):
        runtime.check_stream(stage.world, SPACE, "web", "", "the port-forward")
    nodes.lose(stage.world, "berth-node-1")
    assert refused(stage, "web", "exec")[1].endswith("dial tcp 127.0.0.1:10250: i/o timeout")


@pytest.mark.parametrize(("scenario", "reason"), [("", runtime.NO_ANSWERS), (_SCENARIO, "")])
def test_a_client_learns_whether_any_command_is_answered_anywhere(scenario: str, reason: str) -> None:
    stage = Stage(scenario)
    stage.add_pod("web")
    stage.settle()
    with pytest.raises(ApiError) as caught:
        run(stage, "web", "ls")
    assert caught.value.details is not None
    assert caught.value.details["causes"][0].get("reason", "") == reason


def test_logs_are_the_scenarios_lines() -> None:
    stage = Stage(_SCENARIO)
    stage.add_pod("web")
    stage.settle()
    assert read(stage, "web") == "one\ntwo\nthree\n"
    assert read(stage, "web", tail=2) == "two\nthree\n"
    assert read(stage, "web", tail=0) == ""
    assert read(stage, "web", tail=9) == "one\ntwo\nthree\n"
    assert read(stage, "web", limit_bytes=5) == "one\nt"
    stamp = timestamp(START).replace("Z", ".000000000Z")
    assert read(stage, "web", tail=1, timestamps=True) == f"{stamp} three\n"
    assert read(stage, "web", since=START - 60) != ""
    assert read(stage, "web", since=START + 60) == ""


def test_without_lines_a_log_says_that_nothing_runs() -> None:
    stage = Stage()
    stage.add_pod("web")
    stage.settle()
    assert read(stage, "web") == f"{runtime.NO_LOGS}\n"


def test_logs_of_containers_that_do_not_run() -> None:
    stage = Stage("pods: [{match: {name: slow}, start: 1h}, {match: {name: crash}, fault: crash, exit_code: 3}]")
    for name in ("slow", "crash"):
        stage.add_pod(name)
    stage.add_pod("bad", containers=[container("web", "nginx:nope")])
    stage.advance(0.2)
    where = 'container "web" in pod'
    assert refused(stage, "bad") == (400, f'{where} "bad" is waiting to start: image can\'t be pulled')
    stage.advance(5)
    assert refused(stage, "slow") == (400, f'{where} "slow" is waiting to start: ContainerCreating')
    assert refused(stage, "bad") == (400, f'{where} "bad" is waiting to start: trying and failing to pull image')
    assert refused(stage, "slow", previous=True) == (400, 'previous terminated container "web" in pod "slow" not found')
    assert read(stage, "crash").splitlines()[1] == "It was made to end with exit code 3."
    assert read(stage, "crash", previous=True) == read(stage, "crash")
    assert refused(stage, "crash", container="x") == (400, "container x is not valid for pod crash")


def test_requests_fail_by_rule() -> None:
    stage = Stage(
        "api:\n"
        "  - {match: {verb: patch, kind: StatefulSet, name: 'web*'}, skip: 1, every: 2, times: 2, answer: 409}\n"
        "  - {match: {verb: [get, list], kind: pods}, answer: 429, retry_after: 3s, delay: 0.5s}\n"
        "  - {match: {verb: create, subresource: ''}, answer: reset-after}\n"
        "  - {match: {verb: delete, agent: 'kubectl*'}, from: 10s, until: 20s, answer: 503, message: closed}\n"
    )
    faults = ApiFaults(stage.world)

    def code(call: Call) -> int:
        failure = faults.of(call)
        return failure.error.code if failure and failure.error else 0

    patch = Call("patch", STATEFUL_SETS, SPACE, "web")
    assert [code(patch) for _ in range(8)] == [0, 0, 409, 0, 409, 0, 0, 0]
    assert faults.of(Call("patch", STATEFUL_SETS, SPACE, "db")) is None
    failure = faults.of(Call("list", PODS, SPACE))
    assert failure is not None and failure.error is not None
    assert (failure.delay, failure.error.code, failure.error.headers) == (0.5, 429, {"Retry-After": "3"})
    assert failure.error.to_status()["details"] == {"retryAfterSeconds": 3}
    assert faults.of(Call("create", PODS, SPACE)) == Failure(cut="after")
    assert faults.of(Call("create", PODS, SPACE, "web", "eviction")) is None
    delete = Call("delete", PODS, SPACE, "web", agent="kubectl/1.36")
    stage.add_pod("web")
    seen = []
    for _ in range(5):
        seen.append(code(delete))
        stage.advance(5)
    assert seen == [0, 0, 503, 503, 0]


def test_the_words_of_a_conflict() -> None:
    stage = Stage("api: [{answer: 409}]")
    failure = ApiFaults(stage.world).of(Call("patch", STATEFUL_SETS, SPACE, "web"))
    assert failure is not None and failure.error is not None
    assert failure.error.message == (
        'Operation cannot be fulfilled on statefulsets.apps "web": the object has been modified; please apply your '
        "changes to the latest version and try again"
    )
