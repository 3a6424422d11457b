"""Faces: where they are in a picture, and whose they are."""
