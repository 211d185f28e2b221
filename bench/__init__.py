"""The benchmark: whole commands of berth beside those of its peers, on the local control plane, in one run.

``python -m bench`` writes RESULTS.md and results.json beside this file. Peers: `kubectl apply` with `kubectl rollout
status`, `helm upgrade --install --wait`, and a loop over the official Python client. All get the very same manifests.
"""
