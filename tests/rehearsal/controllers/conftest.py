from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rehearsal.controllers.quay import Quay


@pytest.fixture
def quay() -> Iterator[Quay]:
    made = Quay()
    yield made
    made.world.close()
