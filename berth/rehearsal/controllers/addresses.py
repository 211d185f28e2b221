"""Addresses of pods: one of its own for each, out of the range of its node."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.kinds import PODS

if TYPE_CHECKING:
    from berth.rehearsal.store import Store

#: The range of a node that states none.
_USUAL = "10.244.252.0/22"


class Addresses:
    """Who has which address. They are given out in a circle, as the host-local plugin of CNI does it."""

    def __init__(self, store: Store) -> None:
        """Take note of the addresses that pods have."""
        self._store = store
        self._owners: dict[str, str] | None = None
        self._last: dict[str, int] = {}

    def _taken(self) -> dict[str, str]:
        if self._owners is None:
            self._owners = {}
            for pod in self._store.each(PODS):
                address = (pod.get("status") or {}).get("podIP")
                if address and not pod["spec"].get("hostNetwork"):
                    self._owners[address] = pod["metadata"]["uid"]
        return self._owners

    def take(self, pod: Json, node: Json) -> str:
        """An address that no other pod has, out of the node's range.

        A range that is used up starts over: more pods than addresses are no matter where nothing is sent.
        """
        taken = self._taken()
        network = IPv4Network(node["spec"].get("podCIDR") or _USUAL)
        size = max(1, network.num_addresses - 3)
        position = self._last.get(str(network), 0)
        for _ in range(size):
            position = position % size + 1
            # The first address is the network's, the second the node's own bridge.
            address = str(network.network_address + position + 1)
            if address not in taken:
                break
        self._last[str(network)] = position
        taken[address] = pod["metadata"]["uid"]
        return address

    def release(self, pod: Json) -> None:
        """A pod is gone; its address may go to another."""
        address = (pod.get("status") or {}).get("podIP")
        taken = self._taken()
        if address and taken.get(address) == pod["metadata"]["uid"]:
            del taken[address]
