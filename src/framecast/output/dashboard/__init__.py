"""Tracks -> the dashboard's WebSocket: any set of cameras over one socket."""
