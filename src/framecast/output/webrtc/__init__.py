"""WebRTC viewers (WHEP)."""
