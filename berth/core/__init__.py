"""The pure core: values in, values out.

The law of this room: no network, disk, clock, thread, randomness or import of ``kubernetes``.
What a function needs of the world comes in as an argument.
"""
