"""berth provisions stateful workloads on Kubernetes from profiles."""

__version__ = "0.1.0"
