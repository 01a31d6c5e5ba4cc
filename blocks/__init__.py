"""Prefect blocks: where things are and how to get in. A leaf: Prefect and pydantic, and the client libraries of secrets.

The domain declares the shape it needs as a Protocol; a block has the same fields; a task passes one to the other.
"""

from blocks.azure_blob_container import AzureBlobContainer
from blocks.delta_lake import DeltaLake
from blocks.dicom_node import DicomNode
from blocks.dicomweb_server import DicomwebServer
from blocks.ftps_server import FtpsServer
from blocks.link_store import LinkStore
from blocks.local_folder import LocalFolder
from blocks.pseudonym_keys import PseudonymKeyFile, PseudonymKeyVault
from blocks.storage_node import StorageNode
from blocks.warehouse import Warehouse

#: Every block type of Safelight; bootstrap registers them and tests check each.
BLOCKS = (
    AzureBlobContainer,
    DeltaLake,
    DicomNode,
    DicomwebServer,
    FtpsServer,
    LinkStore,
    LocalFolder,
    PseudonymKeyFile,
    PseudonymKeyVault,
    StorageNode,
    Warehouse,
)

__all__ = [
    "BLOCKS",
    "AzureBlobContainer",
    "DeltaLake",
    "DicomNode",
    "DicomwebServer",
    "FtpsServer",
    "LinkStore",
    "LocalFolder",
    "PseudonymKeyFile",
    "PseudonymKeyVault",
    "StorageNode",
    "Warehouse",
]
