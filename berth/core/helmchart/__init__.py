"""A Helm chart as the source of a profile's objects: what it takes, what it gives, and what helm says of it."""
