"""Who may do what: rights, and the credentials that carry them."""
