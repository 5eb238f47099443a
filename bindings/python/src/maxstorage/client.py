"""Client, session, split and scan: owners of the handles of the C interface, with the same rules."""
import ctypes
import json
import time
import typing
from ctypes import byref

from ._native import ArrowArray, WakeCallback, lib
from .arrow import Batch, Schema, read_stream
from .errors import BUSY, PENDING, CallerError, call, make
from .options import Options, figures_of
from .predicate import predicate_of


class KnownSplits(typing.NamedTuple):
    """How many splits of a session are known."""

    count: int
    """The number of splits, which are numbered from 0."""
    complete: bool
    """Whether there are no others."""


class SplitInfo(typing.NamedTuple):
    """What a split covers."""

    rows: int
    """The number of rows."""
    start_row: int
    """The first row, in a session that is cut by rows."""
    estimated_bytes: int
    """Stored bytes, as the service estimates them."""
    partition: str
    """The partition, "key=value/key=value"."""
    bucket: int
    """The bucket of a clustered table."""
    weight: float
    """The share of the whole read, from 0 to 1."""


class _Handle:
    """Owns a handle; `close` may be called twice, from any thread, in any order."""

    _free = None

    def __init__(self, handle):
        self._handle = handle

    def close(self):
        """Frees the handle; what was opened through it goes on. Cancel a read that blocks another thread first."""
        handle, self._handle = self.__dict__.get("_handle"), None
        if handle:
            self._free(handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    __del__ = close


def _metrics(function, handle):
    figures = make(function, handle)
    try:
        return figures_of(figures)
    finally:
        lib.ms_metrics_free(figures)


def _bytes(function, *arguments):
    content = make(function, *arguments)
    try:
        return ctypes.string_at(lib.ms_bytes_data(content), lib.ms_bytes_len(content))
    finally:
        lib.ms_bytes_free(content)


def _name(text):
    return None if text is None else text.encode()


def _of(predicate):
    return None if predicate is None else predicate._handle


def _deadline(seconds):
    """A time from now as the library reads it; 0 for none."""
    return 0 if seconds is None else max(1, int((time.clock_gettime(time.CLOCK_MONOTONIC) + seconds) * 1000))


def _waker(wake):
    return WakeCallback(lambda _: wake()) if wake else WakeCallback()


def _used_up(reader, export):
    """The stream that a reader becomes."""
    reader.on_ready(None)  # the stream would go on to call it
    handle, reader._handle = reader._handle, None
    try:
        return read_stream(export, handle)
    except CallerError as failure:
        if failure.code == BUSY:  # another thread waits for it: the one failure that leaves the reader
            reader._handle = handle
        raise


class Client(_Handle):
    """An endpoint, a caller, and the limits shared by what is opened through it. Makes no request when it is made.

    Keywords are options: `Client(endpoint=..., access_key_id=..., access_key_secret=..., project=...)`. What is not given comes from
    the environment of the MaxCompute SDKs.
    """

    _free = staticmethod(lib.ms_client_free)

    options: Options
    """What the client was made with; what it opens takes its other options from here."""

    def __init__(self, options=None, **more):
        keys = options.copy().update(**more) if isinstance(options, Options) else Options(options, **more)
        self.options = keys.load_environment()
        super().__init__(make(lib.ms_client_open, self.options._handle))

    def read(self, table, columns=None, *, partitions=None, filter=None, cancel=None, options=None, **more):
        """Plans a read of a table: a Session. Blocks until the plan is ready. `filter` is a Predicate, text in the service's
        grammar, or a pyarrow.compute.Expression, which is read as Substrait and costs a request for the columns; the service skips data
        by it, and rows that do not match may still arrive unless the option filter.exact is set.
        `cancel` is a Canceller, for another thread that may end the call."""
        text = filter if isinstance(filter, str) else None
        scan = self.options.copy().update({"table": table, "columns": columns, "partitions": partitions, "filter.text": text})
        scan.update(options, **more)
        asked = self if cancel is None else self.with_cancel(cancel)
        tree = predicate_of(filter, lambda: asked.table_schema(table)) if text is None else None
        ended_by = cancel._handle if cancel is not None else None
        return Session(make(lib.ms_session_open_cancellable, self._handle, scan._handle, _of(tree), ended_by), scan)

    def with_cancel(self, cancel):
        """A handle of the same client whose calls, and the streams they give, end with this Canceller. What is opened with it goes on."""
        bounded = Client.__new__(Client)
        bounded.options = self.options
        bounded._handle = make(lib.ms_client_with_cancel, self._handle, cancel._handle)
        return bounded

    # The catalogue: streams for any Arrow library, whose columns docs/catalogue.md tells.

    def projects_schemas(self, project=None):
        """Projects and their schemas; without a name of all projects."""
        return read_stream(lib.ms_projects_schemas, self._handle, _name(project))

    def tables(self, project=None, schema=None, pattern=None):
        """The tables of a schema whose names match a pattern with * and ?."""
        return read_stream(lib.ms_tables, self._handle, _name(project), _name(schema), _name(pattern))

    def table_schema(self, table):
        """The columns, with their MaxCompute types and keys as field metadata."""
        return Schema(lambda content: call(lib.ms_table_schema, self._handle, _name(table), byref(content)))

    def table_details(self, table):
        """What is known of a table besides its columns: one row."""
        return read_stream(lib.ms_table_details, self._handle, _name(table))

    def partitions(self, table, filter=None):
        """The partitions of a table; `filter` is a Predicate or a pyarrow Expression on the partition keys."""
        tree = predicate_of(filter, lambda: self.table_schema(table))
        return read_stream(lib.ms_partitions, self._handle, _name(table), _of(tree))

    def preview(self, table, rows=10, options=None, **more):
        """The first rows, without a session."""
        scan = self.options.copy().update(options, **more)
        return read_stream(lib.ms_table_preview, self._handle, _name(table), scan._handle, rows)

    def diagnose(self, table=None):
        """Walks from name resolution to the right to read: a row for each step."""
        return read_stream(lib.ms_client_diagnose, self._handle, _name(table))

    @property
    def metrics(self):
        """Memory and requests of everything opened through the client."""
        return _metrics(lib.ms_client_metrics, self._handle)

    def attach(self, token, options=None, **more):
        """A session that was planned elsewhere, from `Session.token` or `Session.token_json`. Makes no request."""
        token = token.encode() if isinstance(token, str) else token
        session = make(lib.ms_session_attach, self._handle, token, len(token))
        return Session(session, self.options.copy().update(options, **more))


class Canceller(_Handle):
    """Ends calls that plan, refresh or list, and reads: give it to `Client.read`, `Session.refresh` or `Client.with_cancel`, and
    `add` splits and scans to it."""

    _free = staticmethod(lib.ms_cancel_free)

    def __init__(self):
        super().__init__(lib.ms_cancel_new())

    def cancel(self):
        """Every call that was given this object, those that will be, and every read that was added fail with CancelledError at once.
        Any thread."""
        lib.ms_cancel_now(self._handle)

    def add(self, read):
        """Has a Split or a Scan end with this object, at once if it was cancelled already. Its deadline does not matter to them."""
        if not isinstance(read, (Split, Scan)):
            raise TypeError(f"a Split or a Scan ends, not a {type(read).__name__}")
        call(lib.ms_cancel_add_scan if isinstance(read, Scan) else lib.ms_cancel_add_split, self._handle, read._handle)

    def set_deadline(self, seconds):
        """How long from now those calls may take, all in all: then they fail with DeadlineExceededError; None for as long as they take."""
        call(lib.ms_cancel_set_deadline_ms, self._handle, _deadline(seconds))


class Session(_Handle):
    """One planned read of one table; never changes, but for the number of splits that are known. Any Arrow library reads it whole:
    `pyarrow.table(session)`."""

    _free = staticmethod(lib.ms_session_free)

    def __init__(self, handle, options):
        super().__init__(handle)
        self._options = options

    def __len__(self):
        """The number of splits that are known: all, unless the option plan.wait is "first"."""
        return lib.ms_session_split_count(self._handle)

    def more_splits(self, known, seconds=None, cancel=None):
        """Waits until more than `known` splits are known, or the plan is complete: with plan.wait="first", a session is read while it is being
        planned. Splits that are known come before the failure of the rest. `cancel` is a Canceller."""
        count, complete = ctypes.c_int64(), ctypes.c_bool()
        bound = cancel._handle if cancel is not None else None
        call(lib.ms_session_more_splits, self._handle, known, _deadline(seconds), bound, byref(count), byref(complete))
        return KnownSplits(count.value, complete.value)

    def try_more_splits(self, known):
        """As `more_splits`, without waiting: None while no more are known."""
        count, complete = ctypes.c_int64(), ctypes.c_bool()
        if call(lib.ms_session_try_more_splits, self._handle, known, byref(count), byref(complete)) == PENDING:
            return None
        return KnownSplits(count.value, complete.value)

    def split_numbers(self, cancel=None):
        """The numbers of all splits, each as soon as it is known."""
        known = KnownSplits(0, False)
        while not known.complete:
            before, known = known.count, self.more_splits(known.count, cancel=cancel)
            yield from range(before, known.count)

    @property
    def schema(self):
        """The schema of every batch."""
        return Schema(lambda content: call(lib.ms_session_schema, self._handle, byref(content)))

    @property
    def token(self):
        """The session as bytes, without credentials, for `Client.attach` anywhere."""
        return _bytes(lib.ms_session_serialize, self._handle)

    @property
    def token_json(self):
        """The same as the text of a JSON object, which may be laid out anew on its way; docs/reading.md has its keys."""
        return _bytes(lib.ms_session_serialize_json, self._handle).decode()

    def split_token(self, index, as_json=False):
        """One split, also while others are planned, for the worker that reads it: what `Client.attach` makes of it has it under its number. Bytes,
        or text as `token_json`."""
        token = _bytes(lib.ms_session_serialize_split, self._handle, index, as_json)
        return token.decode() if as_json else token

    @property
    def estimated_rows(self):
        """-1 if it is not known."""
        return lib.ms_session_estimated_rows(self._handle)

    @property
    def estimated_bytes(self):
        """-1 if it is not known."""
        return lib.ms_session_estimated_bytes(self._handle)

    @property
    def expires_at_ms(self):
        """The end of the session's life at the service, in milliseconds since 1970; -1 if it is not known."""
        return lib.ms_session_expires_at_ms(self._handle)

    def refresh(self, cancel=None):
        """Prolongs the session's life. `cancel` is a Canceller, for another thread that may end the call, or for a deadline."""
        call(lib.ms_session_refresh_cancellable, self._handle, cancel._handle if cancel is not None else None)

    @property
    def metrics(self):
        """What all reads of the session have cost so far, by name, those that are over included; docs/metrics.md explains the figures."""
        return _metrics(lib.ms_session_metrics, self._handle)

    def explain(self):
        """How the read was planned; docs/explain.md has the keys."""
        return json.loads(_bytes(lib.ms_session_explain, self._handle))

    def split_info(self, index):
        """What a split covers; -1 and "" where it is not known."""
        info = make(lib.ms_session_split_info, self._handle, index)
        try:
            return SplitInfo(
                lib.ms_split_info_rows(info), lib.ms_split_info_start_row(info), lib.ms_split_info_estimated_bytes(info),
                lib.ms_split_info_partition(info).decode(), lib.ms_split_info_bucket(info), lib.ms_split_info_weight(info),
            )  # fmt: skip
        finally:
            lib.ms_split_info_free(info)

    def split(self, index, options=None, **more):
        """Starts to read a split: a Split, an iterator of batches."""
        read = self._options.copy().update(options, **more)
        return Split(make(lib.ms_split_open, self._handle, index, read._handle))

    def scan(self, options=None, **more):
        """Starts to read all splits: a Scan, an iterator of batches for any number of threads."""
        read = self._options.copy().update(options, **more)
        return Scan(make(lib.ms_scan_open, self._handle, read._handle))

    def __arrow_c_stream__(self, requested_schema=None):
        return self.scan().__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self):
        return self.schema.__arrow_c_schema__()


class Split(_Handle):
    """An open reader over one split, for one thread at a time; `cancel` may be called from any."""

    _free = staticmethod(lib.ms_split_free)
    _waker = None

    @property
    def schema(self):
        """The schema of every batch."""
        return Schema(lambda content: call(lib.ms_split_schema, self._handle, byref(content)))

    def __iter__(self):
        return self

    def __next__(self):
        batch = self.next()
        if batch is None:
            raise StopIteration
        return batch

    def _batch(self, content):
        return Batch(self.schema, content) if content.release else None

    def next(self):
        """The next batch, None after the last. Blocks until it is there, the deadline passes, or somebody cancels."""
        content = ArrowArray()
        call(lib.ms_split_next_batch, self._handle, byref(content))
        return self._batch(content)

    def try_next(self):
        """(True, batch or None) if there is an answer, (False, None) while nothing is ready. Never blocks."""
        content = ArrowArray()
        if call(lib.ms_split_try_next_batch, self._handle, byref(content)) == PENDING:
            return False, None
        return True, self._batch(content)

    def fileno(self):
        """A descriptor that is readable while `try_next` has an answer, for select and asyncio's add_reader."""
        return lib.ms_split_ready_fd(self._handle)

    def on_ready(self, wake):
        """`wake()` is called, from a thread of the library, whenever `try_next`, after it had none, has an answer; None unregisters. Register it
        before the first `try_next`. It must return soon and must not call the library."""
        callback = _waker(wake)
        call(lib.ms_split_set_waker, self._handle, callback, None)
        self._waker = callback  # the former one is not running any more, and may go

    def set_deadline(self, seconds):
        """How long from now `next` may wait; None for as long as it takes."""
        call(lib.ms_split_set_deadline_ms, self._handle, _deadline(seconds))

    def add_filter(self, filter):
        """Keeps further rows out: those of batches that were not taken yet must match this Predicate, or pyarrow
        Expression, too."""
        tree = predicate_of(filter, lambda: self.schema)
        call(lib.ms_split_add_filter, self._handle, tree._handle)

    @property
    def progress(self):
        """From 0 to 1; -1 if it is not known."""
        return lib.ms_split_progress(self._handle)

    def set_batch_limits(self, max_rows=0, max_bytes=0):
        """How large the batches of later calls are at most; 0 for what the options say. Larger ones are cut without copying. Any thread."""
        call(lib.ms_split_set_batch_limits, self._handle, max_rows, max_bytes)

    @property
    def all_requested(self):
        """Whether all requests of the read are out, so that it is time to open the next one."""
        return lib.ms_split_all_requested(self._handle)

    @property
    def rows_delivered(self):
        """How many rows were handed out: where a later read would go on."""
        return lib.ms_split_rows_delivered(self._handle)

    @property
    def metrics(self):
        """What the read has cost so far, by name; docs/metrics.md explains the figures. Any thread."""
        return _metrics(lib.ms_split_metrics, self._handle)

    def cancel(self):
        """Ends the read for good: a `next` that waits wakes at once with CancelledError."""
        lib.ms_split_cancel(self._handle)

    def __arrow_c_stream__(self, requested_schema=None):
        return _used_up(self, lib.ms_split_export_stream).__arrow_c_stream__(requested_schema)


class Scan(_Handle):
    """All splits of a session as one reader, for any number of threads."""

    _free = staticmethod(lib.ms_scan_free)
    _waker = None

    @property
    def schema(self):
        """The schema of every batch."""
        return Schema(lambda content: call(lib.ms_scan_schema, self._handle, byref(content)))

    def __iter__(self):
        return self

    def __next__(self):
        batch, _ = self.next_with_split()
        if batch is None:
            raise StopIteration
        return batch

    def next_with_split(self, timeout=None):
        """The next batch and the number of its split; (None, -1) after the last. Blocks until it is there or somebody cancels; a `timeout`, in
        seconds, that passes ends this call with DeadlineExceededError, and the scan goes on."""
        content, split = ArrowArray(), ctypes.c_int64()
        if timeout is None:
            call(lib.ms_scan_next_batch, self._handle, byref(content), byref(split))
        else:
            call(lib.ms_scan_next_batch_until, self._handle, _deadline(timeout), byref(content), byref(split))
        return (Batch(self.schema, content) if content.release else None), split.value

    def try_next(self):
        """(True, batch or None, split) if there is an answer, (False, None, -1) while nothing is ready. Never blocks."""
        content, split = ArrowArray(), ctypes.c_int64()
        if call(lib.ms_scan_try_next_batch, self._handle, byref(content), byref(split)) == PENDING:
            return False, None, -1
        return True, (Batch(self.schema, content) if content.release else None), split.value

    def fileno(self):
        """A descriptor that is readable while `try_next` has an answer."""
        return lib.ms_scan_ready_fd(self._handle)

    def on_ready(self, wake):
        """As Split.on_ready. One call may stand for several batches: take until there is none."""
        callback = _waker(wake)
        call(lib.ms_scan_set_waker, self._handle, callback, None)
        self._waker = callback

    def add_filter(self, filter):
        """Keeps further rows out, as Split.add_filter."""
        tree = predicate_of(filter, lambda: self.schema)
        call(lib.ms_scan_add_filter, self._handle, tree._handle)

    @property
    def progress(self):
        """From 0 to 1."""
        return lib.ms_scan_progress(self._handle)

    def set_batch_limits(self, max_rows=0, max_bytes=0):
        """How large the batches of later calls are at most; 0 for what the options say. Larger ones are cut without copying. Any thread."""
        call(lib.ms_scan_set_batch_limits, self._handle, max_rows, max_bytes)

    @property
    def all_requested(self):
        """Whether all requests of the scan are out, so that it is time to open the next one."""
        return lib.ms_scan_all_requested(self._handle)

    @property
    def metrics(self):
        """What the read has cost so far, by name; docs/metrics.md explains the figures. Any thread."""
        return _metrics(lib.ms_scan_metrics, self._handle)

    def cancel(self):
        """Ends the scan for good: whoever waits for it wakes at once with CancelledError."""
        lib.ms_scan_cancel(self._handle)

    def __arrow_c_stream__(self, requested_schema=None):
        return _used_up(self, lib.ms_scan_export_stream).__arrow_c_stream__(requested_schema)
