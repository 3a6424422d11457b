"""Framecast reads a small camera once and gives every frame to everyone, live."""

__version__ = "0.1.0"
