"""Rows of the health record: allow-listed columns, with the key and date shift of the images."""
