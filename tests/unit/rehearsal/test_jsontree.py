"""Trees of JSON: what is shared is the same, and never more than equal."""

from __future__ import annotations

import random
from typing import Any

import pytest

from berth.rehearsal.jsontree import Sharing

pytestmark = pytest.mark.unit


def test_equal_trees_become_one() -> None:
    sharing = Sharing()
    one = sharing.of({"f:spec": {"f:replicas": {}, ".": {}}})
    two = sharing.of({"f:spec": {"f:replicas": {}, ".": {}}})
    assert one is two == {"f:spec": {"f:replicas": {}, ".": {}}}
    assert sharing.of({"f:status": {"f:replicas": {}, ".": {}}})["f:status"] is one["f:spec"]
    assert sharing.of(one) is one


def test_the_order_of_keys_is_kept() -> None:
    sharing = Sharing()
    assert list(sharing.of({"a": {}, "b": {}})) == ["a", "b"]
    assert list(sharing.of({"b": {}, "a": {}})) == ["b", "a"]


@pytest.mark.parametrize("limit", [3, 20_000])
def test_any_tree_comes_back_equal(limit: int) -> None:
    chance, sharing = random.Random(1), Sharing(limit)

    def tree(depth: int) -> Any:
        if depth == 0:
            return chance.choice([{}, None, "x"])
        return {chance.choice("abc"): tree(depth - 1) for _ in range(chance.randrange(4))}

    for _ in range(2_000):
        made = tree(chance.randrange(4))
        assert sharing.of(made) == made
