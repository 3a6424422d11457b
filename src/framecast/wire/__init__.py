"""Bytes to objects and back, without I/O.

Everything here is a pure function or a parser that is fed chunks of any size. What a parser returns depends on the
bytes alone, never on where they were split (multipart parts may only come earlier, never different); its memory is
bounded by a limit its caller states; and its time is linear in the bytes it is given. Each one is fuzzed (``fuzz/``).
"""
