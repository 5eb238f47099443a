"""docs/sdk-conformance.md names every call of the client."""
from odps.apis.storage_api_v2 import StorageApiArrowClient

import page


def test_version_2():
    assert page.missing("PyODPS: `odps.apis.storage_api_v2`", {StorageApiArrowClient: ""}) == []
