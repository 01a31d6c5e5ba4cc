"""Every kind of destination that a project's file may name is built from its block."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from prefect.blocks.core import Block

from blocks import AzureBlobContainer, DicomNode, DicomwebServer, FtpsServer, LocalFolder
from safelight.errors import ConfigurationError
from safelight.release.settings import Destinations, DicomDestination, ParquetDestination
from tasks.destinations import destinations_of, parquet_destinations_of
from tasks.wiring import DESTINATION_BLOCKS

KINDS = get_args(DicomDestination.model_fields["kind"].annotation)
FILE_KINDS = get_args(ParquetDestination.model_fields["kind"].annotation)
SECRET = "SECRETWORD"


def blocks_of(folder: Path) -> dict[str, Block]:
    return {
        "folder": LocalFolder(path=folder),
        "blob": AzureBlobContainer(
            account_url="https://account.blob.core.windows.net", container="research", account_key="U0VDUkVUV09SRA=="
        ),
        "ftps": FtpsServer(host="haven.example", username="safelight", password=SECRET),
        "dicomweb": DicomwebServer(url="https://dicom.example/v2", authentication="bearer", token=SECRET),
        "c-store": DicomNode(ae_title="STORE", host="dicom.example", port=11112),
    }


def a_run(folder: Path, **places: Any) -> Any:
    return SimpleNamespace(work=folder, project=SimpleNamespace(destinations=Destinations(lake="lake", **places)))


@pytest.mark.usefixtures("prefect_server")
def test_each_kind_is_built_and_shows_no_secret(tmp_path: Path) -> None:
    made = blocks_of(tmp_path)
    assert set(made) == set(KINDS) == set(DESTINATION_BLOCKS)
    for kind, block in made.items():
        assert type(block) is DESTINATION_BLOCKS[kind]
        block.save(f"a-{kind}", overwrite=True)
    run = a_run(
        tmp_path,
        dicom=[{"kind": kind, "block": f"a-{kind}"} for kind in KINDS],
        parquet=[{"kind": kind, "block": f"a-{kind}"} for kind in FILE_KINDS],
    )
    for built, kinds in ((destinations_of(run), KINDS), (parquet_destinations_of(run), FILE_KINDS)):
        assert [each.name for each in built] == [f"a-{kind}" for kind in kinds]
        assert SECRET not in repr(built)


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("kind", KINDS)
def test_a_block_that_is_not_there_says_what_to_register(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ConfigurationError, match="no block 'nowhere'") as caught:
        destinations_of(a_run(tmp_path, dicom=[{"kind": kind, "block": "nowhere"}]))
    assert DESTINATION_BLOCKS[kind].get_block_type_slug() in str(caught.value)


@pytest.mark.parametrize("group", ["dicom", "parquet"])
def test_two_destinations_of_one_block_are_refused(group: str) -> None:
    twice = [{"kind": "ftps", "block": "haven"}, {"kind": "folder", "block": "haven"}]
    with pytest.raises(ValueError, match="same block"):
        Destinations(**({"lake": "lake", "dicom": [{"kind": "folder", "block": "a"}]} | {group: twice}))
