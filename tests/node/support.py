"""A namespace on a real cluster, and what a person does there: berth, kubectl, a shell in a client pod."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeVar

from berth.cluster.kube import Kube
from berth.cluster.watch import Changed, Gone, Watcher, WatchEvent
from berth.controlplane import binaries
from berth.core.objects import Json, ObjectRef, dig
from tests.waiting import Found, eventually

Test = TypeVar("Test", bound=Callable[..., object])

#: Seconds that a workload may take on a small machine that runs others beside it.
PATIENCE = 420.0

#: The client's image: on every cluster's registry, and small.
CLIENT_IMAGE = "busybox:1.36"
#: What a pod does that waits for commands.
IDLE = ("sh", "-c", "trap exit TERM; while :; do sleep 3600 & wait; done")


def promise(text: str, on: str) -> Callable[[Test], Test]:
    """Say what a test proves, and which real component it runs on; docs/reference/promises.md lists them all."""
    assert text and on

    def keep(test: Test) -> Test:
        return test

    return keep


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """All that it printed."""
        return self.out + self.err


@dataclass(slots=True)
class Space:
    """One namespace; ``home`` is an empty directory from which berth is run, as a team's own repository."""

    name: str
    kubeconfig: Path
    kube: Kube
    home: Path
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    # Commands

    def berth(self, *arguments: str, code: int | None = 0, timeout: float = PATIENCE + 60) -> Done:
        """`berth ARGUMENTS... --namespace NAME`; fails unless it ends with ``code`` (None: any)."""
        command = [sys.executable, "-m", "berth", *arguments, "--namespace", self.name]
        done = self._run(command, timeout)
        assert "Traceback" not in done.text, done.text
        assert code is None or done.code == code, f"{' '.join(command)}: exit code {done.code}\n{done.text}"
        return done

    def up(self, profile: str, *arguments: str, code: int | None = 0) -> Done:
        """`berth up --profile PROFILE --env dev ARGUMENTS...`."""
        waits = ["--timeout", f"{PATIENCE:.0f}s"]
        if "--patience" not in arguments:
            # A provisioner on a busy machine can be slow to answer.
            waits += ["--patience", "240s"]
        return self.berth("up", "--profile", profile, "--env", "dev", *waits, *arguments, code=code)

    def kubectl(self, *arguments: str, code: int | None = 0, timeout: float = 120, stdin: str = "") -> Done:
        """`kubectl ARGUMENTS...` in the namespace; fails unless it ends with ``code`` (None: any)."""
        command = [_kubectl(), "--namespace", self.name, *arguments]
        done = self._run(command, timeout, stdin)
        assert code is None or done.code == code, f"{' '.join(command)}: exit code {done.code}\n{done.text}"
        return done

    def exec(self, pod: str, *command: str, code: int | None = 0, timeout: float = 120) -> str:
        """What a command in a pod's main container prints on standard output, stripped."""
        return self.kubectl("exec", pod, "--", *command, code=code, timeout=timeout).out.strip()

    def shell(self, pod: str, script: str, code: int | None = 0, timeout: float = 120) -> str:
        """What a line of `sh` in a pod's main container prints, stripped."""
        return self.exec(pod, "sh", "-c", script, code=code, timeout=timeout)

    def client(self, name: str = "client") -> Callable[[str], str]:
        """A pod of busybox under Pod Security "restricted", as a shell: give it a line, get what it prints."""
        self.once_ready(name, lambda: restricted_pod(self.name, name, CLIENT_IMAGE, 65532))
        return lambda script: self.shell(name, script)

    def once_ready(self, name: str, made: Callable[[], Json]) -> bool:
        """Make a pod where there is none of that name, and wait until it is ready; whether it was made now."""
        if self.get("", "Pod", name) is not None:
            return False
        self.kube.create(made())
        self.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=120s", timeout=150)
        return True

    def background(self, pod: str, script: str) -> subprocess.Popen[bytes]:
        """Start a line of `sh` in a pod and go on; it ends with the test's namespace at the latest."""
        command = [_kubectl(), "--namespace", self.name, "exec", pod, "--", "sh", "-c", script]
        self._running.append(
            subprocess.Popen(command, env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        return self._running[-1]

    # Objects

    def get(self, group: str, kind: str, name: str) -> Json | None:
        """An object of the namespace, None where there is none."""
        return self.kube.get(ObjectRef(group, kind, self.name, name))

    def pod(self, name: str) -> Json:
        """A pod, which must be there."""
        found = self.get("", "Pod", name)
        assert found is not None, f"no pod {name}"
        return found

    def claims(self) -> dict[str, Json]:
        """The claims by name."""
        listed = self.kube.list("", "PersistentVolumeClaim", self.name).items
        return {claim["metadata"]["name"]: claim for claim in listed}

    def ready(self, set_name: str, timeout: float = PATIENCE) -> None:
        """Wait until every replica that a StatefulSet wants is ready and of its newest revision."""

        def look() -> bool | None:
            found = self.get("apps", "StatefulSet", set_name)
            assert found is not None, f"no StatefulSet {set_name}"
            wanted, status = found["spec"]["replicas"], found.get("status", {})
            current = status.get("observedGeneration") == found["metadata"]["generation"]
            updated = status.get("currentRevision") == status.get("updateRevision")
            counts = (status.get("replicas", 0), status.get("readyReplicas", 0))
            return True if current and updated and counts == (wanted, wanted) else None

        eventually(look, timeout, every=0.5)

    def delete_pod(self, name: str, *, grace: int | None = None) -> None:
        """Delete a pod, and wait until another one has its name and is ready; ``grace`` 0 kills it."""
        uid = self.pod(name)["metadata"]["uid"]
        options = [] if grace is None else [f"--grace-period={grace}", "--force"]
        self.kubectl("delete", "pod", name, "--wait=false", *options)

        def again() -> bool | None:
            found = self.get("", "Pod", name)
            conditions = dig(found, "status", "conditions", default=[])
            ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
            return True if found and found["metadata"]["uid"] != uid and ready else None

        eventually(again, PATIENCE, every=0.5)

    def stopped(self, pod: str, container: str, stop: Callable[[], object], timeout: float = 200) -> Json:
        """How a container ended (exitCode, reason, startedAt, finishedAt) when ``stop`` made its pod stop.

        A watch sees the pod's last states; afterwards nobody could ask for them.
        """
        uid, ends = self.pod(pod)["metadata"]["uid"], SimpleQueue[Json]()

        def see(event: WatchEvent) -> None:
            if isinstance(event, Changed | Gone) and event.object["metadata"]["uid"] == uid:
                for status in dig(event.object, "status", "containerStatuses", default=[]):
                    if status["name"] == container and dig(status, "state", "terminated"):
                        ends.put(status["state"]["terminated"])

        watcher = Watcher(self.kube, "", "Pod", self.name, see, field_selector=f"metadata.name={pod}")
        watcher.start()
        try:
            stop()
            return ends.get(timeout=timeout)
        except Empty:
            raise AssertionError(f"{pod}: the end of {container} was not seen in {timeout:g} s") from None
        finally:
            watcher.stop()

    def environment(self) -> dict[str, str]:
        """The environment of commands: this cluster's kubeconfig, and nothing of the user's own settings."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("BERTH", "INVOKE", "KUBE"))}
        return kept | {"KUBECONFIG": str(self.kubeconfig), "COLUMNS": "160"}

    def close(self) -> None:
        """End what still runs."""
        for process in self._running:
            process.terminate()
            process.wait(10)

    def _run(self, command: Sequence[str], timeout: float, stdin: str = "") -> Done:
        done = subprocess.run(
            command,
            cwd=self.home,
            env=self.environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Done(done.returncode, done.stdout, done.stderr)


def until(look: Callable[[], Found | None], timeout: float = PATIENCE) -> Found:
    """What ``look`` returns once it is not None, asked twice a second."""
    return eventually(look, timeout, every=0.5)


def _kubectl() -> str:
    return shutil.which("kubectl") or str(binaries.program("kubectl", report=print))


def restricted_pod(
    space: str, name: str, image: str, user: int, command: Sequence[str] = IDLE, *, container: str = "client"
) -> Json:
    """A pod of one container that Pod Security "restricted" admits, with a /tmp of its own; callers add the rest."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": space, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": user,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": container,
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": [*command],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }
