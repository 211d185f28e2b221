"""A release of the profile postgres on a cluster that runs containers, and clients of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from berth.core.objects import Json, ObjectRef, dig
from berth.core.readiness import pod_ready
from tests.node.support import Done, Space, restricted_pod, until

#: A server that has started is seen soon; what is asked, and how often later on, is the profile's.
QUICK = {
    "minReadySeconds": "0",
    "probes.startup.periodSeconds": "2",
    "probes.startup.failureThreshold": "150",
}

#: The image of the client pod: psql is in it.
IMAGE = "postgres:17"

_KILL = 'for one in /proc/[0-9]*; do [ "$(cat $one/comm)" != pg_basebackup ] || kill -9 ${one#/proc/}; done'


@dataclass(slots=True)
class Postgres:
    """One release named postgres; ``values`` are what every `up` sets, ``secret`` has the password for clients."""

    space: Space
    values: dict[str, str] = field(default_factory=lambda: dict(QUICK))
    secret: str = "postgres-auth"

    def up(
        self, values: Mapping[str, str] | None = None, *options: str, code: int | None = 0, patience: str = "240s"
    ) -> Done:
        """`berth up` with more values, which later runs keep where this one succeeds.

        On a busy node a volume takes its time, which is no failure: hence the patience.
        """
        wanted = self.values | dict(values or {})
        words = [word for pair in wanted.items() for word in _set(*pair)]
        done = self.space.up("postgres", "--patience", patience, *words, *options, code=code)
        if done.code == 0:
            self.values = wanted
        return done

    def scale(self, replicas: int) -> None:
        """`berth scale`, which later runs of `up` keep."""
        self.space.berth("scale", "--profile", "postgres", "--replicas", str(replicas))
        self.values["replicas"] = str(replicas)

    def sql(self, ordinal: int, statement: str) -> str:
        """What a statement gives on one server, asked through its socket."""
        return self.space.exec(
            f"postgres-{ordinal}", "psql", "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-Atqc", statement
        )

    def ask(self, host: str, statement: str, password: str = '"$PASSWORD"', code: int | None = 0) -> Done:
        """What a client in another pod gets: ``password`` is a word of `sh`, by default that of the Secret."""
        line = f'PGPASSWORD={password} psql -w -h {host} -U postgres -v ON_ERROR_STOP=1 -Atqc "{statement}"'
        return self.space.kubectl("exec", self.client(), "--", "sh", "-c", line, code=code)

    def client(self, name: str = "psql") -> str:
        """The name of a pod with psql, made when it is first needed, with the password in its PASSWORD."""
        self.space.once_ready(name, lambda: _client(name, self.space.name, self.secret))
        return name

    def whole(self) -> None:
        """Wait until every pod is there and ready; what the set counts may be of a moment before."""

        def look() -> bool | None:
            found = self.space.get("apps", "StatefulSet", "postgres")
            assert found is not None
            pods = self.space.kube.list("", "Pod", self.space.name, label_selector="app=postgres").items
            ready = [pod for pod in pods if pod_ready(pod) and "deletionTimestamp" not in pod["metadata"]]
            return True if len(ready) == len(pods) == found["spec"]["replicas"] else None

        until(look)
        self.space.ready("postgres")

    def streams(self, primary: int, standbys: Iterable[int]) -> None:
        """Wait until exactly these standbys stream from the primary, each through its own slot."""
        wanted = "\n".join(f"postgres-{ordinal} pg_{ordinal}" for ordinal in standbys)
        question = (
            "SELECT application_name || ' ' || slot_name FROM pg_stat_replication JOIN pg_replication_slots"
            " ON active_pid = pid WHERE state = 'streaming' ORDER BY 1"
        )
        until(lambda: True if self.sql(primary, question) == wanted else None, 90)

    def slots(self, primary: int) -> list[str]:
        """The names of the replication slots."""
        return self.sql(primary, "SELECT slot_name FROM pg_replication_slots ORDER BY 1").split()

    def arrived(self, ordinal: int, question: str, answer: str, timeout: float = 60) -> None:
        """Wait until a server gives an answer: a standby is always a little behind."""
        until(lambda: True if self.sql(ordinal, question) == answer else None, timeout)

    def forget(self, ordinal: int) -> None:
        """Delete a pod together with its claim, as when its volume is lost."""
        claim, pod = f"data-postgres-{ordinal}", f"postgres-{ordinal}"
        before = self.space.claims()[claim]["metadata"]["uid"]
        self.space.kubectl("delete", "pvc", claim, "--wait=false")
        self.space.kubectl("delete", "pod", pod, "--wait=false")

        def anew() -> bool | None:
            claims = self.space.claims()
            return True if claim in claims and claims[claim]["metadata"]["uid"] != before else None

        until(anew)

    def keep_away(self, ordinal: int) -> None:
        """Take a pod away with its volume kept, as on a node that is off: a quota lets nobody make it again."""
        pods = len(self.space.kube.list("", "Pod", self.space.name).items)
        self.space.kubectl("create", "quota", "away", f"--hard=pods={pods - 1}")

        def counted() -> bool | None:
            return True if dig(self.space.get("", "ResourceQuota", "away"), "status", "used", "pods") else None

        until(counted, 60)
        self.space.kubectl("delete", "pod", f"postgres-{ordinal}")

    def let_back(self) -> None:
        """Let the pod that was kept away come back."""
        self.space.kubectl("delete", "quota", "away")
        # The controller's next attempt may be far off; a change of the set makes it look at once.
        self.space.kubectl("annotate", "statefulset", "postgres", "--overwrite", f"test={uuid4().hex}")

    def prepare_log(self, ordinal: int) -> str:
        """What the init container of a pod says, of the run before too."""
        pod = f"postgres-{ordinal}"
        runs = [
            self.space.kubectl("logs", pod, "-c", "prepare", *which, code=None).out for which in ((), ("--previous",))
        ]
        return "".join(runs)

    def refused(self, ordinal: int, why: str, timeout: float = 120) -> None:
        """Wait until a pod's init container has refused, saying why."""
        until(lambda: True if f"refused: {why}" in self.prepare_log(ordinal) else None, timeout)

    def revisions(self) -> dict[int, str]:
        """The revision of each pod of the set."""
        pods = self.space.kube.list("", "Pod", self.space.name, label_selector="app=postgres").items
        labels = [pod["metadata"]["labels"] for pod in pods]
        return {int(one["apps.kubernetes.io/pod-index"]): one["controller-revision-hash"] for one in labels}

    def held_base_backup(self, primary: int, begin: Callable[[], object]) -> Callable[[], object]:
        """Stop the base backup that ``begin`` leads to in its middle; call what this gives back to let it go on.

        What is stopped is the primary's process that sends it, so that the other end waits for more.
        """
        wait = (
            "DO 'BEGIN LOOP PERFORM pg_stat_clear_snapshot();"
            " EXIT WHEN EXISTS (SELECT FROM pg_stat_progress_basebackup WHERE backup_streamed > 0);"
            " PERFORM pg_sleep(0.002); END LOOP; END'"
        )
        ask = f'psql -U postgres -Atqc "{wait}" -c "SELECT pid FROM pg_stat_progress_basebackup"'
        pod = f"postgres-{primary}"
        holding = self.space.background(pod, f"{ask} > /tmp/held && kill -STOP $(cat /tmp/held)")
        begin()
        assert holding.wait(120) == 0, "no base backup was seen"
        return lambda: self.space.shell(pod, "kill -CONT $(cat /tmp/held)")

    def kill_base_backup(self, ordinal: int) -> None:
        """Kill the processes that receive a base backup, with signal 9."""
        # The container ends with them, and this command with it.
        self.space.kubectl("exec", f"postgres-{ordinal}", "-c", "prepare", "--", "sh", "-c", _KILL, code=None)

    def restarts(self, ordinal: int) -> int:
        """How often the init container of a pod was started again."""
        (status,) = self.space.pod(f"postgres-{ordinal}")["status"]["initContainerStatuses"]
        return int(status["restartCount"])


def passwords(space: Space) -> list[str]:
    """The two generated passwords, in base64 as the API has them."""
    secret = space.kube.get(ObjectRef("", "Secret", space.name, "postgres-auth"))
    assert secret is not None
    return [secret["data"]["password"], secret["data"]["replication-password"]]


def _set(name: str, value: str) -> tuple[str, str]:
    return "--set", f"{name}={value}"


def _client(name: str, namespace: str, secret: str) -> Json:
    pod = restricted_pod(namespace, name, IMAGE, 999)
    pod["spec"]["containers"][0] |= {
        "env": [
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": secret, "key": "password"}}},
            {"name": "PGCONNECT_TIMEOUT", "value": "3"},
        ],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}},
    }
    return pod
