"""Cameras that aren't there: synthetic pictures, the ``mock:`` source, and a fake device for every dialect.

``picture`` and ``video`` make JPEGs, ``source`` feeds them into this process, ``device`` speaks them over a real socket
in the bytes of a firmware (``dialects``), sound or broken (``faults``).
"""
