"""Tasks: how it is retried, limited and recorded."""
