"""The scenarios of ../scenarios.txt in Python, over the package and pyarrow."""
import datetime
import decimal
import gc
import json
import os
import select
import sys
import threading
import time

import maxstorage
import pyarrow
import pyarrow.compute
from maxstorage import col

LINEITEM_ROWS, ORDERKEYS, RAMP_ROWS, RAMP_SUM = 60175, 1802759573, 4000, 7998000
scenarios = []


def scenario(function):
    scenarios.append(function)
    return function


def client(**options):
    settings = {"endpoint": os.environ["MS_TEST_ENDPOINT"], "access_key_id": "local", "access_key_secret": "local", "project": "local"}
    return maxstorage.Client({**settings, "retry.initial_backoff_ms": 20, **options})


def arrow(batch):
    return pyarrow.record_batch(batch)


class Tally:
    """Rows, and the sum of the first column."""

    def __init__(self, batches=()):
        self.rows, self.sum, self.longest, self.batches = 0, 0, 0, 0
        for batch in batches:
            self.add(batch)

    def add(self, batch):
        taken = arrow(batch)
        self.rows += taken.num_rows
        self.longest = max(self.longest, taken.num_rows)
        self.batches += 1
        if pyarrow.types.is_integer(taken.schema.field(0).type):
            self.sum += pyarrow.compute.sum(taken.column(0)).as_py() or 0
        return self

    def is_lineitem(self):
        return (self.rows, self.sum) == (LINEITEM_ROWS, ORDERKEYS)


def splits(session, **options):
    return [session.split(index, **options) for index in range(len(session))]


def read(session, **options):
    return Tally(batch for split in splits(session, **options) for batch in split)


def lineitem(**options):
    return client().read("lineitem", ["l_orderkey"], **options)


def failure(kind, name, work):
    """The exception of a class and with a status that `work` must raise."""
    try:
        work()
    except kind as error:
        assert error.name == name, error
        return error
    raise AssertionError(f"no {name}")


# ----------------------------------------------------------------------------------------------------------------------- reading


@scenario
def versions():
    from maxstorage import _native

    assert _native.lib.ms_abi_version() == _native.ABI_VERSION
    assert maxstorage.__version__ in maxstorage.build_info()
    assert maxstorage.features() & 2  # MS_FEATURE_SCANS


@scenario
def read_all_rows():
    assert read(lineitem()).is_lineitem()


@scenario
def split_by_count():
    assert read(lineitem(split__mode="parallelism", split__parallelism=8)).is_lineitem()


@scenario
def split_by_rows():
    session = lineitem(split__mode="row_offset", split__rows=2500)
    assert len(session) == 25
    parts = [Tally(split) for split in splits(session)]
    assert all(part.rows <= 2500 for part in parts)
    assert sum(part.rows for part in parts) == LINEITEM_ROWS and sum(part.sum for part in parts) == ORDERKEYS


@scenario
def split_by_bucket():
    session = client().read("clustered", split__mode="bucket")
    assert len(session) == 8
    all_rows = read(session)
    assert (all_rows.rows, all_rows.sum) == (100, 4950)


@scenario
def projection():
    session = client().read("nation", ["n_name", "n_nationkey"])
    assert session.schema.names == ["n_name", "n_nationkey"] == pyarrow.schema(session.schema).names


@scenario
def partitions():
    session = client().read("parted", partitions=["ds=20260101"])
    assert session.schema.names == ["id", "note", "ds", "region"]
    part = read(session)
    assert (part.rows, part.sum) == (2000, 2 * 499500)


@scenario
def splits_while_planning():
    session = client().read("parted", partitions=["ds=20260101", "ds=20260102"], plan__wait="first", plan__partitions_per_session=1)
    all, numbers = Tally(), []
    for index in session.split_numbers(maxstorage.Canceller()):
        numbers.append(index)
        for batch in client().attach(session.split_token(index, as_json=index % 2 == 1)).split(index):
            all.add(batch)
    assert (all.rows, all.sum) == (4000, 2 * 499500 + 1999000) and numbers == list(range(len(session)))
    assert session.try_more_splits(len(session)) == (len(session), True) == session.more_splits(0, seconds=5)


@scenario
def every_type():
    session = client().read("all_types")
    formats = ["c", "s", "i", "l", "f", "g", "b", "u", "u", "u", "z", "d:15,2", "d:38,0", "d:38,18", "tdD", "tsm:UTC", "tsn:UTC", "tsn:"]
    assert session.schema.formats == [*formats, "tiM", "tiD", "+l", "+m", "+s", "+l"]
    # pyarrow has no interval of months, and none of days and milliseconds.
    names = [name for name in session.schema.names if name not in ("c_months", "c_day_time")]
    table = pyarrow.table(client().read("all_types", names))
    assert table.num_rows == 4
    for column in table.columns:
        assert [value is None for value in column.to_pylist()] == [False, False, True, False]


@scenario
def large_offsets():
    names = ["c_string", "c_binary", "c_array", "c_map", "c_struct"]
    as_is = pyarrow.table(client().read("all_types", names))
    session = client().read("all_types", names, types__large_offsets=True)
    assert session.schema.formats == ["U", "Z", "+L", "+m", "+s"]
    table = pyarrow.table(client().read("all_types", names, types__large_offsets=True))
    assert table["c_string"].type == pyarrow.large_string() and table["c_binary"].type == pyarrow.large_binary()
    assert pyarrow.types.is_large_list(table["c_array"].type) and table["c_map"].type.key_type == pyarrow.large_string()
    assert table.to_pylist() == as_is.to_pylist() and table.num_rows == 4


@scenario
def dictionaries():
    names = ["o_orderkey", "o_orderpriority"]
    as_is = pyarrow.table(client().read("orders", names)).sort_by("o_orderkey")
    assert client().read("orders", names, types__dictionary=["o_orderpriority"]).schema.formats == ["l", "i"]
    table = pyarrow.table(client().read("orders", names, types__dictionary=["o_orderpriority"]))
    assert table["o_orderpriority"].type == pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    assert max(len(chunk.dictionary) for chunk in table["o_orderpriority"].chunks) == 5
    texts = table.set_column(1, "o_orderpriority", table["o_orderpriority"].cast(pyarrow.string())).sort_by("o_orderkey")
    assert texts.to_pydict() == as_is.to_pydict() and texts.num_rows == 15000
    for form in ("types__string_view", "types__large_offsets"):  # the texts of the dictionaries have the form of others
        every = pyarrow.table(client().read("nation", types__dictionary="*", **{form: True}))
        assert pyarrow.types.is_dictionary(every["n_comment"].type) and every.num_rows == 25
        keyed = [name.as_py() for name in every["n_name"]]
        assert keyed == pyarrow.table(client().read("nation"))["n_name"].to_pylist()
    failure(maxstorage.CallerError, "MS_INVALID_OPTION", lambda: client().read("orders", names, types__dictionary=["o_orderkey"]))


@scenario
def time_zone():
    names = ["c_datetime", "c_timestamp", "c_timestamp_ntz"]
    utc = pyarrow.table(client().read("all_types", names))
    table = pyarrow.table(client().read("all_types", names, types__time_zone="Asia/Shanghai"))
    assert [field.type.tz for field in table.schema] == ["Asia/Shanghai", "Asia/Shanghai", None]
    for name in names:
        assert table[name].cast(pyarrow.int64()).equals(utc[name].cast(pyarrow.int64()))
    assert table["c_datetime"][0].as_py() == utc["c_datetime"][0].as_py()
    failure(maxstorage.CallerError, "MS_INVALID_OPTION", lambda: client().read("all_types", names, types__time_zone="UTC+8"))


@scenario
def lz4():
    assert read(lineitem(), read__compression="lz4").is_lineitem()


@scenario
def zstd():
    assert read(lineitem(), read__compression="zstd").is_lineitem()


@scenario
def batch_rows():
    all_rows = read(client().read("orders", ["o_orderkey"]), read__batch_rows=100)
    assert all_rows.rows == 15000 and all_rows.longest <= 100
    session = client().read("orders", ["o_orderkey"], split__mode="parallelism", split__parallelism=1)
    with session.split(0) as split, session.scan() as scan:
        for reader, take in (split, split.next), (scan, lambda: scan.next_with_split()[0]):
            for limit in (5, 2):
                reader.set_batch_limits(limit)
                assert len(pyarrow.record_batch(take())) == limit
            reader.set_batch_limits(0, 80)
            assert len(pyarrow.record_batch(take())) <= 10
            reader.set_batch_limits()
            assert len(pyarrow.record_batch(take())) > 100


@scenario
def row_range():
    split = client().read("ramp", split__mode="parallelism", split__parallelism=1).split(0, read__start_row=1000, read__row_count=500)
    some = Tally(split)
    assert (some.rows, some.sum, split.rows_delivered) == (500, 500 * (1000 + 1499) // 2, 500)


@scenario
def protocol_2():
    assert read(client(protocol=2).read("lineitem", ["l_orderkey"])).is_lineitem()


@scenario
def empty_table():
    assert read(client().read("empty", ["c_bigint"])).batches == 0


@scenario
def token():
    assert read(client().attach(lineitem().token)).is_lineitem()


@scenario
def json_token():
    fields = json.loads(lineitem().token_json)
    anew = json.dumps({"@type": "split", **dict(reversed(fields.items()))}, indent=2)
    assert read(client().attach(anew)).is_lineitem()
    other = json.dumps({**fields, "table": "lineitex"})
    failure(maxstorage.CallerError, "MS_INVALID_ARGUMENT", lambda: client().attach(other))


@scenario
def damaged_token():
    damaged = bytearray(client().read("nation").token)
    damaged[len(damaged) // 2] ^= 1
    failure(maxstorage.CallerError, "MS_INVALID_ARGUMENT", lambda: client().attach(bytes(damaged)))


@scenario
def scan_unordered():
    assert Tally(lineitem(split__mode="row_offset", split__rows=5000).scan()).is_lineitem()


@scenario
def scan_ordered():
    scan = lineitem(split__mode="row_offset", split__rows=5000).scan(scan__ordered=True)
    all_rows, numbers = Tally(), []
    while True:
        batch, split = scan.next_with_split()
        if batch is None:
            break
        numbers.append(split)
        all_rows.add(batch)
    assert all_rows.is_lineitem() and numbers == sorted(numbers)


@scenario
def scan_threads():
    scan, parts = lineitem(split__mode="row_offset", split__rows=5000).scan(), []
    threads = [threading.Thread(target=lambda: parts.append(Tally(scan))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(parts) == 4
    assert sum(part.rows for part in parts) == LINEITEM_ROWS and sum(part.sum for part in parts) == ORDERKEYS


@scenario
def stream():
    table = pyarrow.table(lineitem())
    assert (table.num_rows, pyarrow.compute.sum(table["l_orderkey"]).as_py()) == (LINEITEM_ROWS, ORDERKEYS)
    split = client().read("fault_stall").split(0)
    sleeper = threading.Thread(target=failure, args=(maxstorage.CancelledError, "MS_CANCELLED", split.next))
    sleeper.start()
    time.sleep(0.2)
    failure(maxstorage.CallerError, "MS_BUSY", split.__arrow_c_stream__)
    split.cancel()  # a reader that could not be used up is still this one
    sleeper.join(1)
    assert not sleeper.is_alive()


@scenario
def batches_outlive_owners():
    batch = arrow(next(client().read("nation").split(0)))
    assert batch.column(0).to_pylist() == list(range(25))


@scenario
def no_copy():
    batch = next(client().read("nation").split(0))
    address = batch.address(0)
    assert address != 0 and arrow(batch).column(0).buffers()[1].address == address


# --------------------------------------------------------------------------------------------------- without blocking, and cancelling


def poll(take, wait, into):
    """Takes batches until the end without blocking in the library."""
    while True:
        ready, batch = take()
        if not ready:
            assert wait()
        elif batch is None:
            return
        else:
            into.add(batch)


@scenario
def polling():
    all_rows = Tally()
    for index, split in enumerate(splits(lineitem(split__mode="parallelism", split__parallelism=4))):
        if index % 2:  # by the descriptor, or by a callback
            poll(split.try_next, lambda: select.select([split], [], [], 10)[0], all_rows)
        else:
            woken = threading.Semaphore(0)
            split.on_ready(woken.release)
            poll(split.try_next, lambda: woken.acquire(timeout=10), all_rows)
    assert all_rows.is_lineitem()


@scenario
def scan_polling():
    session = lineitem(split__mode="parallelism", split__parallelism=4)
    for waker in (False, True):
        all_rows, scan, woken = Tally(), session.scan(), threading.Semaphore(0)

        def take():
            ready, batch, split = scan.try_next()
            assert (batch is None) == (split == -1)
            return ready, batch

        if waker:
            scan.on_ready(woken.release)
            poll(take, lambda: woken.acquire(timeout=10), all_rows)
        else:
            poll(take, lambda: select.select([scan], [], [], 10)[0], all_rows)
        assert all_rows.is_lineitem()


def cancelled(reader, take):
    woke = []

    def sleep():
        failure(maxstorage.CancelledError, "MS_CANCELLED", take)
        woke.append(time.monotonic())

    sleeper = threading.Thread(target=sleep)
    sleeper.start()
    time.sleep(0.2)
    begin = time.monotonic()
    reader.cancel()
    sleeper.join()
    assert woke and woke[0] - begin < 1


@scenario
def cancel_wakes():
    split = client().read("fault_stall").split(0)
    cancelled(split, split.next)


@scenario
def cancel_stays():
    split = client().read("nation").split(0)
    split.cancel()
    for _ in range(3):
        failure(maxstorage.CancelledError, "MS_CANCELLED", split.next)


@scenario
def cancel_scan():
    scan = client().read("fault_stall").scan()
    cancelled(scan, scan.next_with_split)


@scenario
def cancel_planning():
    one, cancel = client(), maxstorage.Canceller()
    cancelled(cancel, lambda: one.read("fault_plan", cancel=cancel))


@scenario
def cancel_reads():
    session, cancel = client().read("nation"), maxstorage.Canceller()
    split, late, scan = session.split(0), session.split(0), session.scan()
    cancel.add(split)
    cancel.add(scan)
    cancel.cancel()
    cancel.add(late)
    try:
        cancel.add(session)
        raise AssertionError("a session was taken for a read")
    except TypeError:
        pass
    for ended in (split.next, late.next, scan.next_with_split):
        failure(maxstorage.CancelledError, "MS_CANCELLED", ended)


@scenario
def calls_end():
    one, cancel = client(), maxstorage.Canceller()
    session, bounded = one.read("nation"), one.with_cancel(cancel)
    calls = [lambda: bounded.tables(), lambda: session.refresh(cancel)]
    cancel.set_deadline(0.2)
    failure(maxstorage.DeadlineExceededError, "MS_DEADLINE_EXCEEDED", lambda: bounded.read("fault_plan"))
    for ended in calls:
        failure(maxstorage.DeadlineExceededError, "MS_DEADLINE_EXCEEDED", ended)
    cancel.set_deadline(None)
    bounded.table_schema("nation")
    cancel.cancel()
    for ended in calls:
        failure(maxstorage.CancelledError, "MS_CANCELLED", ended)
    one.tables()
    session.refresh()


@scenario
def deadline():
    split = client().read("fault_stall").split(0)
    split.set_deadline(0.2)
    failure(maxstorage.DeadlineExceededError, "MS_DEADLINE_EXCEEDED", split.next)
    split.cancel()
    failure(maxstorage.CancelledError, "MS_CANCELLED", split.next)
    scan = client().read("fault_stall").scan()
    for _ in range(2):
        failure(maxstorage.DeadlineExceededError, "MS_DEADLINE_EXCEEDED", lambda: scan.next_with_split(timeout=0.1))
    scan.cancel()
    failure(maxstorage.CancelledError, "MS_CANCELLED", scan.next_with_split)


# ------------------------------------------------------------------------------------------------------------------------ faults


def one_split(table):
    return client().read(table, split__mode="parallelism", split__parallelism=1).split(0)


@scenario
def resume():
    split = one_split("fault_cut")
    all_rows = Tally(split)
    assert (all_rows.rows, all_rows.sum, split.metrics["resumes"]) == (RAMP_ROWS, RAMP_SUM, 1)


@scenario
def throttled():
    split = one_split("fault_throttle")
    assert (Tally(split).rows, split.metrics["requests"]) == (RAMP_ROWS, 2)


@scenario
def timeout():
    session = client(**{"read_idle_timeout_ms": 300, "retry.max_attempts": 1}).read("fault_stall")
    assert failure(maxstorage.TemporaryError, "MS_TIMEOUT", lambda: read(session)).is_retryable


@scenario
def corrupt():
    error = failure(maxstorage.DataError, "MS_CORRUPT_DATA", lambda: read(client().read("fault_corrupt")))
    assert not error.is_retryable and error.request_id


@scenario
def schema_mismatch():
    failure(maxstorage.DataError, "MS_SCHEMA_MISMATCH", lambda: read(client().read("fault_schema")))


@scenario
def expired():
    failure(maxstorage.NotFoundError, "MS_SESSION_EXPIRED", lambda: read(client().read("fault_expired")))


@scenario
def refresh():
    session = client().read("nation")
    before = session.expires_at_ms
    session.refresh()
    assert session.expires_at_ms >= before


# -------------------------------------------------------------------------------------------------------- failures of the caller


@scenario
def unknown_option():
    assert "table" in failure(maxstorage.CallerError, "MS_INVALID_OPTION", lambda: client(tabel="x")).message


@scenario
def missing_table():
    error = failure(maxstorage.NotFoundError, "MS_NOT_FOUND", lambda: client().read("no_such_table"))
    assert error.http_status == 404 and error.request_id and error.server_code
    assert json.loads(error.json)["request_id"] == error.request_id


@scenario
def wrong_secret():
    failure(maxstorage.AccessError, "MS_UNAUTHENTICATED", lambda: client(access_key_secret="wrong").read("nation"))


@scenario
def quota_denied():
    failure(maxstorage.AccessError, "MS_QUOTA_DENIED", lambda: client(quota="pay-as-you-go").read("nation"))


@scenario
def view():
    failure(maxstorage.NotFoundError, "MS_TABLE_KIND_UNSUPPORTED", lambda: client().read("view_of_nation"))


@scenario
def nobody_listens():
    nobody = client(**{"endpoint": "http://127.0.0.1:1/api", "retry.max_attempts": 2})
    error = failure(maxstorage.TemporaryError, "MS_CONNECTION", lambda: nobody.read("nation"))
    assert error.is_retryable and error.attempts == 2
    # The host decides about the second attempt and the third.
    asked = []
    options = maxstorage.Options({"endpoint": "http://127.0.0.1:1/api", "project": "local"})
    options.set_retry_hook(lambda error, elapsed, planned: asked.append((error.name, error.attempts)) or (0 if len(asked) < 3 else None))
    nobody = maxstorage.Client(options, access_key_id="local", access_key_secret="local", retry__max_attempts=5)
    failure(maxstorage.TemporaryError, "MS_CONNECTION", lambda: nobody.read("nation"))
    assert asked == [("MS_CONNECTION", 1), ("MS_CONNECTION", 2), ("MS_CONNECTION", 3)]


@scenario
def bad_filter():
    failure(maxstorage.CallerError, "MS_INVALID_ARGUMENT", lambda: client().read("nation", filter="n_name >>> ("))


# --------------------------------------------------------------------------------------------------------------------- predicates


def read_where(filter):
    return read(client().read("ramp", filter=filter, filter__exact=True))


@scenario
def filter_text():
    assert read_where("id >= 1000 and id < 1010").rows == 10


@scenario
def compare():
    found = read_where(col("id") >= 3990)
    assert (found.rows, found.sum) == (10, 39945)
    assert read_where(col("id") >= pyarrow.array([3990])).rows == 10
    assert read_where(col("c_decimal") == decimal.Decimal("-500.00")).rows == 1
    assert read_where(col("c_date") < datetime.date(1970, 1, 1)).rows > 0


@scenario
def in_list():
    assert read_where(col("id").is_in([1, 2, None, 5000])).rows == 2
    assert read_where(col("id").is_in([1.0, 2])).rows == 2
    for values in [[1, 2.5], [1, "2"], [True, 2], [2**63], [-(2**63) - 1], ["a", b"b"], [datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1, 12)]]:
        try:
            col("id").is_in(values)
        except (TypeError, OverflowError):
            continue
        raise AssertionError(f"{values} was taken")


@scenario
def combined():
    assert read_where(((col("id") < 10) | (col("id") >= 3990)) & ~col("c_int").is_null()).rows == 18


@scenario
def substrait():
    expression = pyarrow.compute.field("id") >= 3990
    message = bytes(expression.to_substrait(pyarrow.schema([("id", pyarrow.int64())])))
    found = read_where(maxstorage.Predicate.from_substrait(message))
    assert (found.rows, found.sum) == (10, 39945)
    assert read_where(expression).rows == 10
    failure(maxstorage.CallerError, "MS_INVALID_ARGUMENT", lambda: maxstorage.Predicate.from_substrait(message[1:]))


@scenario
def runtime_filter():
    split = one_split("ramp")
    split.add_filter(col("id") >= 3990)
    found = Tally(split)
    assert (found.rows, found.sum) == (10, 39945)


# ------------------------------------------------------------------------------------------------------- catalogue and diagnosis


@scenario
def tables():
    assert {"lineitem", "parted"} <= set(pyarrow.table(client().tables(schema="default"))["table"].to_pylist())


@scenario
def table_schema():
    schema = pyarrow.schema(client().table_schema("parted"))
    assert schema.names == ["id", "note", "ds", "region"]
    assert schema.field("id").metadata[b"maxcompute.type"] == b"bigint"
    assert schema.field("ds").metadata[b"maxcompute.partition_key"] == b"true"


@scenario
def table_details():
    (details,) = pyarrow.table(client().table_details("clustered")).to_pylist()
    assert (details["kind"], details["cluster_kind"], details["buckets"]) == ("table", "hash", 8)


@scenario
def partitions_listed():
    rows = pyarrow.table(client().partitions("parted")).to_pylist()
    assert len(rows) == 3 and {"ds": "20260102", "region": "eu"} in [row["values"] for row in rows]
    assert pyarrow.table(client().partitions("parted", col("ds") == "20260102")).num_rows == 1


@scenario
def preview():
    assert pyarrow.table(client().preview("nation", 5)).num_rows == 5


@scenario
def explain():
    session = client().read("ramp", filter="id >= 1000", split__mode="row_offset", split__rows=1500)
    told = session.explain()
    assert told["split_count"] == 3 and "1000" in told["filter"][0]["text"]
    assert session.split_info(2)[:2] == (1000, 3000)


@scenario
def diagnose():
    good = pyarrow.table(client().diagnose("nation")).to_pylist()
    assert len(good) == 10 and all(row["status"] in ("ok", "skipped") for row in good)
    bad = pyarrow.table(client(access_key_secret="wrong").diagnose("nation")).to_pylist()
    assert [row["step"] for row in bad if row["status"] == "failed"] == ["signature"]


# ------------------------------------------------------------------------------------------------------------------------ around


@scenario
def metrics():
    session = client().read("nation")
    split = session.split(0)
    Tally(split)
    assert split.metrics["rows"] == 25 and split.metrics["bytes_wire"] > 0 and split.all_requested
    again = session.split(0)
    Tally(again)
    del again
    assert session.metrics["rows"] == 50 and session.metrics["reads"] == 2
    ends = []
    told = maxstorage.Options().set_read_end(lambda split, outcome, figures: ends.append((split, outcome, figures["rows"])))
    keys = {"endpoint": os.environ["MS_TEST_ENDPOINT"], "access_key_id": "local", "access_key_secret": "local", "project": "local"}
    told = maxstorage.Client(told, **keys).read("nation")
    with told.split(0) as split:
        Tally(split)
    told.scan().close()
    assert ends[0] == (0, "MS_OK", 25) and ends[1][:2] == (None, "MS_CANCELLED"), ends


@scenario
def log():
    records = []
    maxstorage.set_log(lambda *record: records.append(record), "debug")
    read(client().read("nation"))
    maxstorage.set_log(None)
    seen = len(records)
    read(client().read("nation"))
    assert seen and len(records) == seen
    spans = []
    keys = {"endpoint": os.environ["MS_TEST_ENDPOINT"], "access_key_id": "local", "access_key_secret": "local", "project": "local"}
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    traced = maxstorage.Client(maxstorage.Options().set_span(spans.append), trace__parent=parent, **keys)
    read(traced.read("nation"))
    assert {"maxstorage.plan", "maxstorage.read"} <= {span["name"] for span in spans}, spans
    assert {(span["trace_id"], span["parent_span_id"], span["status"]) for span in spans} == {(parent[3:35], parent[36:52], 0)}, spans


@scenario
def memory_budget():
    one = client(**{"limits.memory_bytes": 8 << 20})
    assert Tally(one.read("lineitem", ["l_orderkey"]).scan()).is_lineitem()
    assert 0 < one.metrics["memory_peak"] <= 12 << 20


@scenario
def credentials_provider():
    asked = []
    options = maxstorage.Options({"endpoint": os.environ["MS_TEST_ENDPOINT"], "project": "local"})
    options.set_credentials_provider(lambda: asked.append(1) or ("local", "local"))
    assert read(maxstorage.Client(options).read("nation")).rows == 25 and asked


@scenario
def bearer_token():
    options = maxstorage.Options({"endpoint": os.environ["MS_TEST_ENDPOINT"], "project": "local"})
    options.set_credentials_provider(lambda: maxstorage.BearerToken("conformance", int((time.time() + 3600) * 1000)))
    assert read(maxstorage.Client(options).read("nation")).rows == 25


@scenario
def options_described():
    rows = pyarrow.table(maxstorage.Options(project="local", access_key_secret="x").describe()).to_pylist()
    described = {row["key"]: row["value"] for row in rows}
    assert (described["project"], described["access_key_secret"], described["table"]) == ("local", "***", None)


class Host:
    """Accounts for the memory that it lends."""

    def __init__(self, grants):
        self.grants, self.held, self.asked, self.lock = grants, 0, 0, threading.Lock()

    def reserve(self, size):
        with self.lock:
            self.asked += 1
            if self.grants:
                self.held += size
            return self.grants

    def release(self, size):
        with self.lock:
            self.held -= size

    def client(self):
        options = maxstorage.Options({"endpoint": os.environ["MS_TEST_ENDPOINT"], "project": "local"})
        return maxstorage.Client(options.set_memory_hooks(self.reserve, self.release), access_key_id="local", access_key_secret="local")


@scenario
def memory_hooks():
    host = Host(True)
    assert read(host.client().read("lineitem", ["l_orderkey"])).is_lineitem()
    gc.collect()
    assert host.asked > 0
    until = time.monotonic() + 5
    while host.held and time.monotonic() < until:
        time.sleep(0.001)  # a reader may be about to end
    assert host.held == 0, host.held


@scenario
def memory_refused():
    host = Host(False)
    failure(maxstorage.TemporaryError, "MS_RESOURCE_EXHAUSTED", lambda: read(host.client().read("nation")))
    assert host.asked > 0 and host.held == 0


@scenario
def shutdown():
    one = client()
    failure(maxstorage.CallerError, "MS_WRONG_STATE", lambda: maxstorage.shutdown(0))
    one.close()
    maxstorage.shutdown()
    started, stopped = [], []
    options = maxstorage.Options({"endpoint": os.environ["MS_TEST_ENDPOINT"], "project": "local"})
    options.set_thread_hooks(lambda: started.append(threading.get_native_id()), lambda: stopped.append(threading.get_native_id()))
    with maxstorage.Client(options, access_key_id="local", access_key_secret="local") as hooked, hooked.read("nation") as session:
        assert read(session).rows == 25
    maxstorage.shutdown()
    assert len(started) >= 3 and sorted(started) == sorted(stopped)
    assert read(client().read("nation")).rows == 25


@scenario
def nothing_left():
    assert maxstorage.live_handles() == 0


failed = 0
for one in scenarios:
    try:
        one()
        gc.collect()  # exceptions keep the frames that they came through
        assert maxstorage.live_handles() == 0, f"{maxstorage.live_handles()} handles are alive"
        print(f"ok     {one.__name__}", flush=True)
    except Exception as error:  # a scenario that fails must not keep the others from being tried
        failed += 1
        place = error.__traceback__
        while place.tb_next:
            place = place.tb_next
        print(f"  {type(error).__name__} in line {place.tb_lineno}: {error}")
        print(f"FAILED {one.__name__}", flush=True)
        del place
print(f"{len(scenarios) - failed} passed, {failed} failed, 0 skipped")
sys.exit(failed != 0)
