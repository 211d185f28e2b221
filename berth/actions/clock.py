"""Time, as actions take it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from berth.cluster.kube import Kube


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, passed in: seconds that never jump, and the wall clock, None for the cluster's own.

    Objects carry times of the cluster's clock, which this machine's may differ from by any amount.
    """

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], datetime] | None = None

    def now(self, kube: Kube) -> datetime:
        """What the wall clock says."""
        return self.wall() if self.wall is not None else kube.server_time()
