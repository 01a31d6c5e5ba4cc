"""What goes wrong when something is written, as our errors: each says what to do and shows no address or value."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from safelight.errors import (
    DestinationRefused,
    DestinationUnavailable,
    SafelightError,
    StorageFull,
    StorageUnwritable,
)

_FULL: Final = re.compile(r"no space left|quota exceeded|file too large|os error (28|122|27)\b", re.IGNORECASE)
_UNWRITABLE: Final = re.compile(
    r"permission denied|read-only file system|not a directory|is a directory|operation not permitted"
    r"|os error (1|13|20|21|30)\b",
    re.IGNORECASE,
)
_REFUSED: Final = re.compile(
    r"\b40[013]\b|\b404\b|AuthenticationFailed|AuthorizationFailure|AuthorizationPermissionMismatch|ContainerNotFound"
    r"|InvalidAuthentication|Forbidden|Unauthorized|invalid_client|Account must be specified|Unknown scheme|InvalidUri",
    re.IGNORECASE,
)
_FULL_NUMBERS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PASSING_NUMBERS: Final = frozenset({errno.EIO, errno.ETIMEDOUT, errno.ESTALE, errno.EHOSTDOWN, errno.ECONNRESET})


def folder_fault(error: OSError, where: str) -> SafelightError:
    """Return our error for what a local or mounted folder said. ``where`` is a word such as 'the DICOM folder'."""
    if error.errno in _FULL_NUMBERS:
        return StorageFull(f"No room is left for {where}.", remedy="Make room and run again; what is complete stays.")
    if error.errno in _PASSING_NUMBERS:
        return DestinationUnavailable(f"The disk of {where} does not answer.", remedy="Check its mount and run again.")
    return StorageUnwritable(
        f"{where[:1].upper()}{where[1:]} can't be written ({errno.errorcode.get(error.errno or 0, type(error).__name__)}).",
        remedy="Check its path, owner and mount.",
    )


@contextmanager
def lake_faults(table: str) -> Iterator[None]:
    """Turn what delta-rs and the object store raise into our errors. Lost races pass through as they are.

    delta-rs reports through the text of its exceptions only; that text may hold addresses, so it is not repeated.
    """
    try:
        yield
    except (SafelightError, CommitFailedError, TableNotFoundError):
        raise
    except (DeltaError, OSError, ValueError) as error:
        raise _lake_fault(error, table) from None
    except Exception as error:  # delta-rs raises plain Exception for what its object store says
        if type(error) is not Exception:
            raise
        raise _lake_fault(error, table) from None


def _lake_fault(error: Exception, table: str) -> SafelightError:
    text = str(error)
    where = f"table '{table}' of the lake"
    if isinstance(error, OSError) and error.errno is not None:
        return folder_fault(error, where)
    if _FULL.search(text):
        return StorageFull(f"No room is left for {where}.", remedy="Make room and run again; what was committed stays.")
    if _UNWRITABLE.search(text):
        return StorageUnwritable(f"Cannot write {where}.", remedy="Check the lake's path, owner and mount in its block.")
    if _REFUSED.search(text):
        return DestinationRefused(
            f"The store refused {where}.", remedy="Check address, container and credentials in the lake's block."
        )
    return DestinationUnavailable(
        f"Could not reach or write {where} ({type(error).__name__}).", remedy="Check network and address, then run again."
    )
