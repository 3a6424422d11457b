"""HLS with low latency."""
