"""How Safelight uses pynetdicom, whether it asks an archive, receives from it, or sends to a destination."""
