"""Whatever is done to a set, in whatever order: the invariants hold after every write, and it gets where it should."""

from __future__ import annotations

from random import Random

import pytest

from berth.rehearsal.kinds import CLAIMS, PODS, STATEFUL_SETS
from tests.rehearsal.controllers.quay import SPACE, Quay, web

pytestmark = pytest.mark.rehearsal


def disturb(quay: Quay, dice: Random) -> str:
    """Do one thing to the set or to one of its pods; what it was."""
    names = quay.pods()
    set_ = quay.get(STATEFUL_SETS, "web")
    match dice.randrange(9):
        case 0 | 1:
            replicas = dice.randrange(6)
            quay.scale(replicas)
            return f"scale to {replicas}"
        case 2:
            image = f"nginx:{dice.randrange(4)}"
            quay.image(image)
            return image
        case 3:
            start = dice.choice((None, {"start": dice.randrange(3)}))
            quay.change(STATEFUL_SETS, "web", ordinals=start)
            return f"ordinals {start}"
        case 4:
            rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": dice.randrange(4)}}
            strategy = dice.choice((rolling, {"type": "OnDelete"}))
            quay.change(STATEFUL_SETS, "web", updateStrategy=strategy)
            return f"{strategy}"
        case 5 if names:
            name = dice.choice(names)
            quay.delete(PODS, name, grace=dice.choice((None, 0)))
            return f"delete {name}"
        case 6 if names:
            name, ready = dice.choice(names), dice.random() < 0.5
            phase = dice.choice(("Running", "Running", "Failed", "Pending"))
            quay.nodes.set_ready(name, ready and phase == "Running", phase)
            return f"{name} is {phase}, ready: {ready}"
        case 7:
            name = f"web-{dice.randrange(6)}"
            quay.nodes.broken ^= {name}
            return f"{name} breaks, or no longer does"
        case _:
            policy = {"whenDeleted": dice.choice(("Retain", "Delete")), "whenScaled": dice.choice(("Retain", "Delete"))}
            quay.change(STATEFUL_SETS, "web", persistentVolumeClaimRetentionPolicy=policy)
            return f"{policy} after generation {set_['metadata'].get('generation')}"


def heal(quay: Quay) -> None:
    """Make everything well, and get every pod to the newest template."""
    quay.nodes.broken.clear()
    quay.change(
        STATEFUL_SETS, "web", updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}, ordinals=None
    )
    for _ in range(20):
        quay.settle()
        for pod in quay.client.list(PODS, SPACE):
            if "deletionTimestamp" not in pod["metadata"]:
                status = pod.get("status") or {}
                ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in status["conditions"])
                if status["phase"] in ("Pending", "Running") and not ready:
                    quay.nodes.set_ready(pod["metadata"]["name"], True)
    quay.settle()


@pytest.mark.parametrize("seed", range(40))
def test_random_lifecycle(quay: Quay, seed: int) -> None:
    dice = Random(seed)
    policy = dice.choice(("OrderedReady", "Parallel"))
    quay.make(web(dice.randrange(1, 5), podManagementPolicy=policy, minReadySeconds=dice.choice((0, 0, 5))))
    done = [policy]
    for _ in range(20):
        quay.world.advance(dice.choice((0, 0.5, 1, 2, 8)))
        done.append(disturb(quay, dice))
        assert quay.invariants.broken == [], done
    heal(quay)
    set_ = quay.get(STATEFUL_SETS, "web")
    wanted = set_["spec"]["replicas"]
    assert quay.pods() == [f"web-{n}" for n in range(wanted)], done
    assert quay.counts() == (wanted,) * 5, done
    status = set_["status"]
    assert status["currentRevision"] == status["updateRevision"], done
    assert status["observedGeneration"] == set_["metadata"]["generation"], done
    image = set_["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2]
    assert set(quay.images().values()) <= {image}, done
    quay.scale(0)
    quay.settle()
    assert quay.pods() == [], done
    scaled = set_["spec"].get("persistentVolumeClaimRetentionPolicy", {}).get("whenScaled")
    if scaled == "Delete":
        kept = [claim["metadata"]["name"] for claim in quay.client.list(CLAIMS, SPACE)]
        assert not {f"www-web-{n}" for n in range(wanted)} & set(kept), done
