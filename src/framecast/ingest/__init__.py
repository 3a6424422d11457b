"""Devices -> tracks: what connects to cameras, or lets them connect, and what it takes to trust their pictures."""
