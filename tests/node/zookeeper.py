"""ZooKeeper's own client in a pod beside the ensemble, and the words that a member answers to."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from itertools import pairwise

from berth.core.objects import Json
from tests.node.support import PATIENCE, Done, Space, restricted_pod, until
from tests.waiting import eventually

#: Seconds after which an ensemble forgets a client that it does not hear of: the longest that it grants, 20 ticks.
SESSION = 40

#: How long berth waits, on a small machine that runs other tests beside these.
_WAITS = ("--timeout", f"{2 * PATIENCE:.0f}s", "--patience", "300s")

#: What the client logs when a member has taken its session, with the session's id.
_CONNECTED = re.compile(r"Session establishment complete on server .*session id = (0x[0-9a-f]+)")
_FAILED = re.compile(r"KeeperErrorCode = (\w+)")
_BEAT = re.compile(r"^beat-(\d+)$")

#: A shell of ZooKeeper for the life of the pod: lines written to /tmp/in are commands, /tmp/out is the log with times.
_SHELL = """
mkfifo /tmp/in; exec 3<> /tmp/in
zkCli.sh -timeout 40000 -server "$SERVERS" < /tmp/in 2>&1 |
  while IFS= read -r line; do printf '%s %s\\n' "$EPOCHREALTIME" "$line"; done > /tmp/out
"""

#: Write, read back, twice a second, until /tmp/enough is there.
_BEATS = """
rm -f /tmp/enough; n=0
until [ -e /tmp/enough ]; do n=$((n + 1)); printf 'set /beat beat-%s\\nget /beat\\n' "$n" > /tmp/in; sleep 0.5; done
"""

#: Ask members 0 to 4 what they are, once a second, until the pod ends: the number of the round, the member, the answer.
_ROUNDS = r"""
round=0
while sleep 1; do
  round=$((round + 1))
  for member in 0 1 2 3 4; do
    said=$(printf mntr | nc -w 1 zookeeper-$member.zookeeper 2181 2> /dev/null |
      sed -n 's/^zk_\(server_state\|quorum_size\|synced_followers\)[^a-z0-9]*/\1=/p')
    if [ -n "$said" ]; then echo $round $member $said >> /tmp/rounds; fi
  done
done
"""


@dataclass(frozen=True, slots=True)
class Beats:
    """What a client saw that wrote and read all the time.

    ``done`` is how many writes were read back, ``pause`` the longest time between two of them in seconds; ``errors``
    are the failures by ZooKeeper's names; ``connections`` how often a member took the session; ``sessions`` their ids.
    """

    done: int
    pause: float
    errors: list[str]
    connections: int
    sessions: set[str]


@dataclass(frozen=True, slots=True)
class Client:
    """A pod with one session to the ensemble, held as long as the pod lives."""

    space: Space
    pod: str
    domain: str

    def say(self, command: str) -> None:
        """Give the session a command, such as `create -e /here me`."""
        self.space.shell(self.pod, f"printf '%s\\n' {shlex.quote(command)} > /tmp/in")

    def log(self) -> list[tuple[float, str]]:
        """All that the session printed, each line with its time."""
        lines = [line.partition(" ") for line in self.space.shell(self.pod, "cat /tmp/out").splitlines()]
        return [(float(when), text) for when, _, text in lines]

    def ask(self, *commands: str) -> str:
        """What a session of its own prints for some commands."""
        return self._shell(*commands)

    def kept(self, node: str, members: int = 3) -> list[str]:
        """What each member holds in a node, asked in turn and made to catch up first; values begin with `kept`."""
        asked = []
        for member in range(members):
            asked += [f"connect zookeeper-{member}.{self.domain}:2181", "sync /", f"get {node}"]
        return [line for line in self._shell(*asked).splitlines() if line.startswith("kept")]

    def _shell(self, *commands: str) -> str:
        lines = "\\n".join([*commands, "quit"])
        script = f"printf '{lines}\\n' | timeout 120 zkCli.sh -server zookeeper-client:2181 2>&1"
        return self.space.shell(self.pod, script, code=None, timeout=150)

    def start_beats(self) -> None:
        """Write and read from now on, through the session that is held."""
        self.say("create /beat beat-0")
        self.space.background(self.pod, _BEATS)
        eventually(lambda: self.beats().done > 2 or None, 120, every=2)

    def stop_beats(self) -> Beats:
        """What came of it, once two more have passed."""
        before = self.beats().done
        eventually(lambda: self.beats().done > before + 2 or None, 120, every=2)
        self.space.shell(self.pod, "touch /tmp/enough")
        return self.beats()

    def start_rounds(self) -> None:
        """Ask all members from now on what they are."""
        self.space.background(self.pod, _ROUNDS)

    def leaders(self) -> dict[int, dict[int, int]]:
        """In each round, the members that led a quorum of those that they know, and how many those are."""
        found: dict[int, dict[int, int]] = {}
        for line in self.space.shell(self.pod, "cat /tmp/rounds").splitlines():
            number, member, *words = line.split()
            said = dict(word.split("=", 1) for word in words)
            size, followers = int(said.get("quorum_size", 0)), int(float(said.get("synced_followers", 0)))
            if said.get("server_state") == "leader" and 2 * (followers + 1) > size:
                found.setdefault(int(number), {})[int(member)] = size
        return found

    def beats(self) -> Beats:
        """What has come of it so far."""
        lines = self.log()
        first: dict[int, float] = {}
        for when, text in lines:
            if found := _BEAT.match(text):
                first.setdefault(int(found[1]), when)
        times = sorted(first.values())
        return Beats(
            done=len(times),
            pause=max((after - before for before, after in pairwise(times)), default=0.0),
            errors=[found[1] for _, text in lines if (found := _FAILED.search(text))],
            connections=sum(1 for _, text in lines if _CONNECTED.search(text)),
            sessions={found[1] for _, text in lines if (found := _CONNECTED.search(text))},
        )


def up(space: Space, *arguments: str, code: int | None = 0) -> Done:
    """`berth up` in the environment dev; six claims take their time where volumes are made one after the other."""
    wanted = ("--profile", "zookeeper", "--env", "dev")
    return space.berth("up", *wanted, *_WAITS, *arguments, code=code, timeout=3 * PATIENCE)


def scale(space: Space, replicas: int) -> str:
    """`berth scale`, in which each step has its own time; what it printed."""
    wanted = ("--profile", "zookeeper", "--replicas", str(replicas))
    return space.berth("scale", *wanted, *_WAITS, timeout=4 * PATIENCE).out


def client(space: Space, members: int = 3) -> Client:
    """The client's pod, of the same image as the ensemble, with a session; the same one when asked again."""
    name, domain = "zk-client", f"zookeeper.{space.name}.svc.cluster.local"
    made = Client(space, name, domain)
    servers = ",".join(f"zookeeper-{member}.{domain}:2181" for member in range(members))
    env = {"SERVERS": servers, "ZK_CLIENT_HEAP": "64"}
    if space.once_ready(name, lambda: _pod(space, name, ["bash", "-c", _SHELL], env)):
        eventually(lambda: made.beats().sessions or None, 120, every=2)
    return made


def word(space: Space, member: int, letters: str) -> str:
    """What a member answers to a four-letter word."""
    return space.shell(f"zookeeper-{member}", f"printf {letters} | nc -w 2 localhost 2181", code=None)


def mode(space: Space, member: int) -> str | None:
    """What a member is at this moment: leader, follower; None when it is not in a quorum, or not there."""
    found = re.search(r"^Mode: (\w+)$", word(space, member, "srvr"), re.MULTILINE)
    return found[1] if found else None


def members(space: Space, member: int) -> dict[int, str]:
    """The ensemble as a member's configuration has it: the name of each id."""
    text = space.shell(f"zookeeper-{member}", "cat /conf/zoo.cfg")
    return {int(number): host for number, host in re.findall(r"^server\.(\d+)=([^:.]+)", text, re.MULTILINE)}


def whole(space: Space, count: int = 3) -> list[str]:
    """Wait until all are ready; the modes of all, in the order of their ordinals."""
    space.ready("zookeeper")

    def look() -> list[str] | None:
        found = [mode(space, member) for member in range(count)]
        return [one for one in found if one] if all(found) else None

    return eventually(look, 120, every=2)


def mend_volume(space: Space, member: int, node: str) -> None:
    """Write into a member's volume whose it is; the member's own pod cannot, for it refuses the volume."""
    name = f"mend-{member}"
    pod = _pod(space, name, ["bash", "-c", f"echo {member + 1} > /data/myid"])
    pod["spec"] |= {"nodeName": node, "restartPolicy": "Never"}
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    pod["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": f"data-zookeeper-{member}"}}]
    space.kube.create(pod)
    until(lambda: space.pod(name)["status"]["phase"] == "Succeeded" or None, 120)
    space.kubectl("delete", "pod", name)


def _pod(space: Space, name: str, command: list[str], env: dict[str, str] | None = None) -> Json:
    """A pod of the ensemble's image, under Pod Security "restricted"."""
    ensemble = space.get("apps", "StatefulSet", "zookeeper")
    assert ensemble is not None
    image = ensemble["spec"]["template"]["spec"]["containers"][0]["image"]
    pod = restricted_pod(space.name, name, image, 1000, command, container="main")
    # The group makes a member's volume one that the pod may write to.
    pod["spec"]["securityContext"] |= {"runAsGroup": 1000, "fsGroup": 1000, "fsGroupChangePolicy": "OnRootMismatch"}
    pod["spec"]["containers"][0] |= {
        "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
        "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "384Mi"}},
    }
    return pod
