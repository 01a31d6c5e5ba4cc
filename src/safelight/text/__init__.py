"""Finding what identifies people in free text: reports, notes and the text elements of images."""

from safelight.text.matcher import IdentifierMatcher
from safelight.text.site import Site, load_site
from safelight.text.span import Span
from safelight.text.vocabulary import Vocabulary

__all__ = ["IdentifierMatcher", "Site", "Span", "Vocabulary", "load_site"]
