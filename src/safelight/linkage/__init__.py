"""The link between images, reports, record and requests: rows by stable pseudonyms."""
