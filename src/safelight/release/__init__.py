"""What leaves: tables to the lake, DICOM to its destinations, and a manifest of both."""
