"""Users, tokens and sessions as they are managed: made, listed, ended."""
