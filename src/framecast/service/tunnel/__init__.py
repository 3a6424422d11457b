"""A public address for this server through somebody else's: ngrok, or Cloudflare's `cloudflared`."""
