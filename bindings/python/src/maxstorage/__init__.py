"""maxstorage: reads MaxCompute tables as Arrow over the Storage API.

    import maxstorage, pyarrow
    client = maxstorage.Client(endpoint="http://127.0.0.1:8080/api", access_key_id="local", access_key_secret="local", project="local")
    table = pyarrow.table(client.read("lineitem", columns=["l_orderkey"]))
"""
from ._native import lib as _lib
from .arrow import Batch, Schema, Stream
from .client import Canceller, Client, Scan, Session, Split, SplitInfo
from .errors import (
    AccessError, CallerError, CancelledError, DataError, DeadlineExceededError, Error, InternalError, NotFoundError, TemporaryError,
)  # fmt: skip
from .log import set_log
from .options import Options
from .predicate import Column, Predicate, col

__version__ = _lib.ms_version().decode()
__all__ = [
    "AccessError", "Batch", "CallerError", "CancelledError", "Canceller", "Client", "Column", "DataError", "DeadlineExceededError", "Error", "InternalError",
    "NotFoundError", "Options", "Predicate", "Scan", "Schema", "Session", "Split", "SplitInfo", "Stream", "TemporaryError", "col", "live_handles", "set_log",
]  # fmt: skip


def live_handles():
    """How many handles of the library are alive, for tests."""
    return _lib.ms_live_handles()
