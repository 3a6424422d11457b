"""Tracks -> viewers: MJPEG, snapshots, the dashboard's WebSocket, plain WebSocket relays."""
