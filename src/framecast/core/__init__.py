"""Nouns and fan-out: packets, tracks, streams and the sinks that read them.

Standard library only. Nothing here knows a protocol, opens a socket or keeps global state.
"""
