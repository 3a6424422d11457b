"""Tracks made from other tracks: smaller pictures, turned ones, pictures with something drawn in or blacked out."""
