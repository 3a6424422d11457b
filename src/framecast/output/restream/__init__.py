"""Pushing cameras on to other servers."""
