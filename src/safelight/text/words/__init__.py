"""Word lists, compressed, with their licences."""
