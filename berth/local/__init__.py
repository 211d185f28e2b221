"""What a cluster on this machine needs of the machine: processes that stay, locks, ports, files nobody else can read.

Law of this room: it knows no Kubernetes and nothing of berth but its errors. The control plane and the rehearsal stand
on it, and neither on the other.
"""
