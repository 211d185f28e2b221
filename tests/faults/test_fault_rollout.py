"""A rollout whose cluster goes away in its middle."""

from __future__ import annotations

from pathlib import Path

import pytest

from berth.cluster.kube import Kube
from berth.cluster.release import load
from berth.core.errors import BerthError
from berth.core.rollout import partition_of
from tests.contract.rollouts import NEW, roll, rolling, three
from tests.contract.support import done, release, statefulset
from tests.contract.test_interruption import expire_lock
from tests.faults.proxy import Call
from tests.faults.runs import harmful
from tests.faults.test_faults import unavailable


def test_a_cluster_that_goes_away_in_a_rollout_is_found_as_it_was(plane: Path, kube: Kube, space: str) -> None:
    """Nothing is written from the first step down on, not even that it failed; the same command goes on."""
    three(kube, space)
    gone = False

    with harmful(plane) as (proxy, client):

        def away(call: Call) -> None:
            nonlocal gone
            if not gone:
                for verb in ("APPLY", "REPLACE", "DELETE", "GET"):
                    proxy.faults |= {(verb, number): away for number in range(proxy.calls[verb] + 1, 999)}
            gone = True
            unavailable(call)

        proxy.once("APPLY", r"/statefulsets/web\?fieldManager=berth$", away)
        with pytest.raises(BerthError) as caught:
            list(rolling(client, space, *NEW))
    assert "StatefulSet/web" in str(caught.value)
    live = statefulset(kube, release("nginx", space, "replicas=3"))
    assert gone and partition_of(live) == 2
    record = load(kube, space, "nginx")
    assert record is not None and record.rollout is not None
    expire_lock(kube, space)
    assert done(roll(kube, space, *NEW)).succeeded
    record = load(kube, space, "nginx")
    assert record is not None and (record.status, record.rollout) == ("deployed", None)
