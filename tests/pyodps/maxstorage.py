"""libmaxstorage through its C ABI: a table as a pyarrow Table, every split through the Arrow C stream interface."""
import contextlib
import ctypes
import json
import os

import pyarrow as pa

LIBRARY = ctypes.CDLL(os.environ["MS_TEST_LIBRARY"])
POINTER, TEXT, STATUS = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32


def _declare(name, result, *arguments):
    function = getattr(LIBRARY, name)
    function.restype, function.argtypes = result, arguments
    return function


_OUT = ctypes.POINTER(POINTER)
options_new = _declare("ms_options_new", POINTER)
options_set = _declare("ms_options_set", STATUS, POINTER, TEXT, TEXT, _OUT)
options_add = _declare("ms_options_add", STATUS, POINTER, TEXT, TEXT, _OUT)
options_free = _declare("ms_options_free", None, POINTER)
client_open = _declare("ms_client_open", STATUS, POINTER, _OUT, _OUT)
client_free = _declare("ms_client_free", None, POINTER)
session_open = _declare("ms_session_open", STATUS, POINTER, POINTER, POINTER, _OUT, _OUT)
session_attach = _declare("ms_session_attach", STATUS, POINTER, TEXT, ctypes.c_size_t, _OUT, _OUT)
session_serialize = _declare("ms_session_serialize", STATUS, POINTER, _OUT, _OUT)
bytes_data = _declare("ms_bytes_data", POINTER, POINTER)
bytes_len = _declare("ms_bytes_len", ctypes.c_size_t, POINTER)
bytes_free = _declare("ms_bytes_free", None, POINTER)
session_schema = _declare("ms_session_schema", STATUS, POINTER, POINTER, _OUT)
session_split_count = _declare("ms_session_split_count", ctypes.c_int64, POINTER)
session_free = _declare("ms_session_free", None, POINTER)
session_explain = _declare("ms_session_explain", STATUS, POINTER, _OUT, _OUT)
split_open = _declare("ms_split_open", STATUS, POINTER, ctypes.c_int64, POINTER, _OUT, _OUT)
split_export_stream = _declare("ms_split_export_stream", STATUS, POINTER, POINTER, _OUT)
status_name = _declare("ms_status_name", TEXT, STATUS)
error_message = _declare("ms_error_message", TEXT, POINTER)
error_free = _declare("ms_error_free", None, POINTER)
live_handles = _declare("ms_live_handles", ctypes.c_int64)


class Failure(Exception):
    """A failed call: the name of its status and its sentence."""


def _call(function, *arguments):
    error = POINTER()
    status = function(*arguments, ctypes.byref(error))
    if status != 0:
        message = error_message(error).decode()
        error_free(error)
        raise Failure(f"{status_name(status).decode()}: {message}")


def _open(function, *arguments):
    handle = POINTER()
    _call(function, *arguments, ctypes.byref(handle))
    return handle


UNDERSCORED = ("data_endpoint",)
LISTS = ("columns", "partition_columns", "partitions", "bucket_ids")


@contextlib.contextmanager
def _opened(endpoint, settings, token=None):
    """Options and a session: of what the settings name, or of a token."""
    options = options_new()
    client = session = None
    try:
        fixed = {"endpoint": endpoint, "access_key_id": "local", "access_key_secret": "local"}
        dotted = lambda key: key if key in UNDERSCORED else key.replace("_", ".", 1)  # noqa: E731
        single = {dotted(key): value for key, value in settings.items() if key not in LISTS}
        for key, value in {**fixed, **single}.items():
            _call(options_set, options, key.encode(), str(value).encode())
        for key in LISTS:
            for value in settings.get(key, ()):
                _call(options_add, options, key.encode(), str(value).encode())
        client = _open(client_open, options)
        session = _open(session_open, client, options, None) if token is None else _open(session_attach, client, token, len(token))
        yield options, session
    finally:
        session_free(session)
        client_free(client)
        options_free(options)


def _batches(session, index, options):
    split = _open(split_open, session, index, options)
    stream = ctypes.create_string_buffer(5 * 8)
    _call(split_export_stream, split, stream)
    return list(pa.RecordBatchReader._import_from_c(ctypes.addressof(stream)))


def read(endpoint, table=None, **settings):
    """Reads a table, or what the settings name. Names are option keys with `_` for the first `.`: split_mode, read_compression."""
    if table is not None:
        settings["table"] = table
    with _opened(endpoint, settings) as (options, session):
        schema_memory = ctypes.create_string_buffer(9 * 8)
        _call(session_schema, session, schema_memory)
        schema = pa.Schema._import_from_c(ctypes.addressof(schema_memory))
        batches = [batch for index in range(session_split_count(session)) for batch in _batches(session, index, options)]
        return pa.Table.from_batches(batches, schema)


def plan(endpoint, table, **settings):
    """The token of a session, and how many splits it has."""
    with _opened(endpoint, {**settings, "table": table}) as (_, session):
        return _bytes(session_serialize, session), session_split_count(session)


def splits(endpoint, table, **settings):
    """What is known about each split, and its rows."""
    with _opened(endpoint, {**settings, "table": table}) as (options, session):
        told = json.loads(_bytes(session_explain, session))["splits"]
        return [(split, pa.Table.from_batches(_batches(session, split["index"], options))) for split in told]


def _bytes(function, session):
    result = _open(function, session)
    try:
        return ctypes.string_at(bytes_data(result), bytes_len(result))
    finally:
        bytes_free(result)


def read_split(endpoint, token, index, **settings):
    """What a worker does with a token: a client of its own, and one split."""
    with _opened(endpoint, settings, token) as (options, session):
        return _batches(session, index, options)
