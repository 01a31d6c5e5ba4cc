"""Finding what identifies people in free text: reports, notes and the text elements of images."""
