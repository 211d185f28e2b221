from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rehearsal.placing.dock import Dock


@pytest.fixture
def dock() -> Iterator[Dock]:
    made = Dock()
    yield made
    made.world.close()
