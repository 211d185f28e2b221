"""A StatefulSet that runs already, as a profile that gives the same objects."""
