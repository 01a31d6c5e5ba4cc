"""The hospital's own databases, which are only ever read: an OMOP CDM, EMAP, or views that a site made for a project."""

from safelight.warehouse.query import Relation, Relations
from safelight.warehouse.reader import Warehouse

__all__ = ["Relation", "Relations", "Warehouse"]
