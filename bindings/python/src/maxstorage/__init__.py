"""maxstorage: reads MaxCompute tables as Arrow over the Storage API.

    import maxstorage, pyarrow
    client = maxstorage.Client(endpoint="http://127.0.0.1:8080/api", access_key_id="local", access_key_secret="local", project="local")
    table = pyarrow.table(client.read("lineitem", columns=["l_orderkey"]))
"""
import atexit as _atexit

from ._native import lib as _lib
from .arrow import Batch, Schema, Stream
from .client import Canceller, Client, KnownSplits, Scan, Session, Split, SplitInfo
from .errors import (
    AccessError, CallerError, CancelledError, DataError, DeadlineExceededError, Error, InternalError, NotFoundError, TemporaryError,
)  # fmt: skip
from .errors import failure as _failure
from .log import set_log
from .options import BearerToken, Options
from .predicate import Column, Predicate, col

# A thread of the library that calls Python while the interpreter ends would take the process with it.
_atexit.register(_lib.ms_end_callbacks)

__version__ = _lib.ms_version().decode()
__all__ = [
    "AccessError", "Batch", "BearerToken", "CallerError", "CancelledError", "Canceller", "Client", "Column", "DataError", "DeadlineExceededError", "Error", "InternalError",
    "KnownSplits", "NotFoundError", "Options", "Predicate", "Scan", "Schema", "Session", "Split", "SplitInfo", "Stream", "TemporaryError",
    "build_info", "col", "features", "live_handles", "set_log", "shutdown",
]  # fmt: skip


def build_info():
    """How the library was built: version, target and profile, for bug reports."""
    return _lib.ms_build_info().decode()


def features():
    """What the library can do: a bit for each MS_FEATURE_ constant of the header."""
    return _lib.ms_features()


def shutdown(seconds=10):
    """Waits until no thread of the library is left, for hosts that must see them gone. Fails with MS_WRONG_STATE while anything is open, and
    with MS_TIMEOUT; a later Client starts the threads again."""
    status = _lib.ms_shutdown(int(seconds * 1000))
    if status != 0:
        raise _failure(status, None)


def live_handles():
    """How many handles of the library are alive, for tests."""
    return _lib.ms_live_handles()
