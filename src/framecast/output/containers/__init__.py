"""Coded pictures and sound in one file format, made once for all who read it."""
