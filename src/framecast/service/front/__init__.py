"""Sockets and HTTP: what stands between a request and its handler."""
