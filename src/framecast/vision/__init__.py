"""Track ``video`` -> track ``detections``: what moves, what it is, who it is."""
