"""The service around the streams: configuration, state, rights, HTTP."""
