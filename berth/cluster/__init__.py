"""Effects on a Kubernetes API. Everything that talks to a cluster is here, and nothing else is."""
