"""De-identified rows on their way from one stage to the next: Parquet files in the work folder, replaced as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from safelight.errors import IntegrityError, StorageFull, StorageUnwritable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def write_staged(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write the batches under a temporary name and rename the file when it is complete. Memory: one batch.

    Args:
        path: where to; its folder is made.
        schema: of all batches; its metadata travel with the file.
        batches: rows.

    Returns:
        the number of rows.

    Raises:
        StorageFull, StorageUnwritable: the work folder can't take it.
    """
    part = path.with_name(f"{path.name}.part")
    rows = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(part, schema, compression="snappy") as writer:
            for batch in batches:
                writer.write_batch(batch)
                rows += batch.num_rows
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        if error.errno == 28:  # ENOSPC
            raise StorageFull("The work folder's disk is full.", remedy="Make room and run again.") from None
        raise StorageUnwritable(
            f"The work folder can't be written ({type(error).__name__}).", remedy="Check its path and owner."
        ) from None
    return rows


def read_staged(path: Path) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Return the schema and the batches of a staged file.

    Raises:
        IntegrityError: the file was damaged after it was written.
    """
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError):
        raise IntegrityError(
            "A staged file can't be read.", remedy="Delete the work folder and run the stages again."
        ) from None
    return file.schema_arrow, file.iter_batches()
