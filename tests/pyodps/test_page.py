"""docs/sdk-conformance.md names every call of the official client's storage classes."""
from odps import maxstorage
from odps.apis.storage_api import StorageApiArrowClient

import page


def test_version_1():
    assert page.missing("PyODPS: `odps.apis.storage_api`", {StorageApiArrowClient: ""}) == []


def test_maxstorage():
    names = ["MaxStorageClient", "TableReadSession", "InstanceReadSession", "TableWriteSession", "TableArrowWriter", "TableBlockWriter",
             "AppendTableRecordWriter", "DeltaTableRecordWriter", "BlobManager"]  # fmt: skip
    assert page.missing("PyODPS: `odps.maxstorage`", {getattr(maxstorage, name): f"{name}." for name in names}) == []
