"""Releases as files that others apply: kubectl, kustomize, Argo CD, Flux."""
