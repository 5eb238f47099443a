"""The official client's tunnel sessions, used directly: blocks, threads, sessions found again, every type, every coding."""
import concurrent.futures
import datetime
import decimal
import math

import odps
import pandas
import pyarrow as pa
import pytest
from odps.errors import ODPSError
from odps.tunnel import InstanceTunnel, TableTunnel, VolumeFSTunnel, VolumeTunnel
from odps.tunnel.retry import RetryPolicy, TunnelRetryHandler

import client
import tables

D = decimal.Decimal
ALGORITHMS = [None, "zlib", "zstd", "lz4"]


@pytest.fixture
def tunnel(service):
    return TableTunnel(client.entry(service))


@pytest.fixture(autouse=True)
def exact_times():
    """Times in UTC, and those before 1928 as well."""
    zone, antique = odps.options.local_timezone, odps.options.allow_antique_date
    odps.options.local_timezone, odps.options.allow_antique_date = False, True
    yield
    odps.options.local_timezone, odps.options.allow_antique_date = zone, antique


def read(session, start=0, count=None, **options):
    with session.open_record_reader(start, session.count - start if count is None else count, **options) as reader:
        return [tuple(record.values) for record in reader]


# A column of every type that records carry, and what its rows are: ordinary, at the edge, NULL.
TYPES = {
    "c_tinyint": ("tinyint", [1, -128, None]),
    "c_smallint": ("smallint", [1, 32767, None]),
    "c_int": ("int", [1, -(2**31), None]),
    "c_bigint": ("bigint", [1, 2**63 - 1, None]),
    "c_float": ("float", [1.5, -0.25, None]),
    "c_double": ("double", [0.1, -1.7976931348623157e308, None]),
    "c_boolean": ("boolean", [True, False, None]),
    "c_string": ("string", ["Größe 数据 🦀", "", None]),
    "c_varchar": ("varchar(20)", ["v", "exactly twenty chars", None]),
    "c_char": ("char(4)", ["abcd", "wxyz", None]),
    "c_binary": ("binary", [b"\x00\xff", b"", None]),
    "c_decimal": ("decimal(15,2)", [D("1.23"), D("-9999999999999.99"), None]),
    "c_wide": ("decimal(38,18)", [D("1.500000000000000000"), D("-99999999999999999999.999999999999999999"), None]),
    "c_date": ("date", [datetime.date(2026, 1, 2), datetime.date(1, 1, 1), None]),
    "c_datetime": ("datetime", [datetime.datetime(2026, 1, 2, 3, 4, 5, 678000), datetime.datetime(1900, 1, 1), None]),
    "c_timestamp": ("timestamp", [pandas.Timestamp("2026-01-02 03:04:05.678901234"), pandas.Timestamp("2262-01-01"), None]),
    "c_ntz": ("timestamp_ntz", [pandas.Timestamp("2026-01-02 03:04:05.000000001"), pandas.Timestamp("1970-01-01"), None]),
    "c_json": ("json", [{"a": [1, None, "x"]}, [], None]),
    "c_array": ("array<bigint>", [[1, None, 3], [], None]),
    "c_map": ("map<string,array<int>>", [{"a": [1], "b": None}, {}, None]),
    "c_struct": ("struct<a:int,b:array<struct<c:string>>>", [(1, [("x",), None]), (None, None), None]),
}


def test_every_type_goes_up_and_comes_down_as_records(tunnel, service):
    name = client.create(service, "(" + ", ".join(f"{column} {kind}" for column, (kind, _) in TYPES.items()) + ")")
    upload = tunnel.create_upload_session(name)
    assert [str(column.type).lower() for column in upload.schema.columns][:3] == ["tinyint", "smallint", "int"]
    wanted = [tuple(values[row] for _, values in TYPES.values()) for row in range(3)]
    with upload.open_record_writer(0) as writer:
        for row in wanted:
            writer.write(upload.new_record(list(row)))
    upload.commit([0])
    session = tunnel.create_download_session(name)
    found = read(session)
    for column, want, got in zip(TYPES, zip(*wanted), zip(*found), strict=True):
        assert list(got) == list(want), column
    # Columns in another order, and a part of the rows.
    assert read(session, 1, 1, columns=["c_string", "c_tinyint"]) == [("", -128)]


def test_loaded_values_come_down_as_records(tunnel):
    session = tunnel.create_download_session("all_types")
    rows = read(session)
    assert len(rows) == session.count == 4
    names = [column.name for column in session.schema.columns]
    row = dict(zip(names, rows[1]))
    assert row["c_date"] == datetime.date(1, 1, 1) and row["c_datetime"] == datetime.datetime(1, 1, 1)
    assert row["c_timestamp"] == pandas.Timestamp("1969-12-31 23:59:59.999999999")
    assert row["c_day_time"] == pandas.Timedelta(milliseconds=-1) and row["c_months"].total_months() == -1
    assert row["c_char"] == "    " and row["c_float"] == -math.inf
    assert rows[2] == (None,) * len(names)
    last = dict(zip(names, rows[3]))
    assert math.isnan(last["c_double"]) and last["c_deep"] == [(None, None)] and last["c_map"] == {"": 2}


# The client has no Arrow type for months, and takes decimals without scale for such with 18 digits.
ARROW = {name: array for name, _, array in tables.COLUMNS if name not in ("c_months", "c_decimal38")}


def test_every_type_goes_up_and_comes_down_as_arrow(tunnel, service):
    types = {name: kind for name, kind in zip(ARROW, [column.type for column in tunnel.create_download_session("all_types").schema.columns if column.name in ARROW])}
    name = client.create(service, "(" + ", ".join(f"{column} {str(kind).replace('`', '')}" for column, kind in types.items()) + ")")
    loaded = pa.table(ARROW)
    intervals = loaded.column("c_day_time").cast(pa.int64())
    parts = [None if value is None else {"sec": value // 1000, "nano": value % 1000 * 1000000} for value in intervals.to_pylist()]
    place = loaded.column_names.index("c_day_time")
    sent = loaded.set_column(place, "c_day_time", pa.array(parts, pa.struct([("sec", pa.int64()), ("nano", pa.int32())])))
    upload = tunnel.create_upload_session(name)
    with upload.open_arrow_writer(0) as writer:
        writer.write(sent)
    upload.commit([0])
    session = tunnel.create_download_session(name)
    with session.open_arrow_reader(0, session.count) as reader:
        found = reader.read()
    for column in sent.column_names:
        got, want = found.column(column).to_pylist(), sent.column(column).to_pylist()
        if column == "c_char":
            want = [value and value.ljust(4) for value in loaded.column(column).to_pylist()][:1] + ["    ", None, "abcd"]
        if column == "c_day_time":
            total = lambda value: value and value["sec"] * 10**9 + value["nano"]
            got, want = [total(value) for value in got], [total(value) for value in want]
        assert repr(got) == repr(want), column


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("arrow", [False, True])
def test_blocks_from_many_threads(tunnel, service, arrow, algorithm):
    name = client.create(service, "(id bigint, name string)")
    upload = tunnel.create_upload_session(name, compress_algo=algorithm)

    def write(block):
        first = block * 500
        if arrow:
            with upload.open_arrow_writer(block, compress=algorithm is not None) as writer:
                writer.write(client.batch(first, first + 500))
            return
        with upload.open_record_writer(block, compress=algorithm is not None) as writer:
            for number in range(first, first + 500):
                writer.write(upload.new_record([number, f"n{number}"]))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(8)))
    assert sorted(upload.get_block_list()) == list(range(8))
    assert tunnel.create_download_session(name).count == 0
    # Another process would find the session by its id.
    again = tunnel.create_upload_session(name, upload_id=upload.id)
    again.commit(list(range(8)))
    assert again.status.value == "CLOSED"
    session = tunnel.create_download_session(name, compress_algo=algorithm)
    assert session.count == 4000
    # Four readers of one session, by its id, each of its rows.
    def part(number):
        own = tunnel.create_download_session(name, download_id=session.id, compress_algo=algorithm)
        if arrow:
            with own.open_arrow_reader(number * 1000, 1000, compress=algorithm is not None) as reader:
                return [(row["id"], row["name"]) for row in reader.read().to_pylist()]
        return read(own, number * 1000, 1000, compress=algorithm is not None)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        rows = [row for rows in pool.map(part, range(4)) for row in rows]
    # Blocks follow each other by number.
    assert rows == [(number, f"n{number}") for number in range(4000)]


def test_a_buffered_writer_and_reader(tunnel, service):
    name = client.create(service, "(id bigint, name string)")
    upload = tunnel.create_upload_session(name)
    with upload.open_record_writer(buffer_size=4096) as writer:
        for number in range(2000):
            writer.write(upload.new_record([number, f"n{number}"]))
    assert len(writer.get_blocks_written()) > 3
    upload.commit(writer.get_blocks_written())
    session = tunnel.create_download_session(name)
    rows = read(session, buffered=True, row_batch_size=300)
    assert rows == [(number, f"n{number}") for number in range(2000)]


def test_a_partition_and_its_columns(tunnel, service):
    name = client.create(service, "(id bigint, name string) partitioned by (ds string, hh bigint)")
    upload = tunnel.create_upload_session(name, partition_spec="ds=20260101,hh=7", create_partition=True)
    with upload.open_record_writer(0) as writer:
        writer.write(upload.new_record([1, "one"]))
    upload.commit([0])
    entry = client.entry(service)
    with entry.get_table(name).open_reader("ds=20260101,hh=7") as reader:
        assert [list(record.values) for record in reader] == [[1, "one", "20260101", "7"]]  # as the client spells it
    with entry.get_table(name).open_reader("ds=20260101,hh=7", arrow=True, append_partitions=True) as reader:
        assert reader.read_all().to_pylist() == [{"id": 1, "name": "one", "ds": "20260101", "hh": 7}]
    for spec in (None, "ds=20260101", "ds=20260101,hh=8"):
        with pytest.raises(ODPSError):
            tunnel.create_download_session(name, partition_spec=spec)


def test_results_of_an_instance_with_times(service):
    entry = client.entry(service)
    instance = entry.execute_sql("select id, c_timestamp, c_datetime, c_decimal from ramp where id < 20;")
    session = InstanceTunnel(entry).create_download_session(instance, limit=True)
    wanted = tables.ramp().slice(0, 20).to_pylist()
    with session.open_record_reader(0, session.count) as reader:
        found = {record[0]: list(record.values)[1:] for record in reader}
    with session.open_arrow_reader(0, session.count) as reader:
        arrow = {row["id"]: [row["c_timestamp"], row["c_datetime"], row["c_decimal"]] for row in reader.read().to_pylist()}
    for row in wanted:
        values = [row["c_timestamp"], row["c_datetime"], row["c_decimal"]]
        assert found[row["id"]] == values and arrow[row["id"]] == values


def test_a_preview(tunnel, service):
    table = client.entry(service).get_table("ramp")
    with tunnel.open_preview_reader(table, columns=["c_timestamp", "id"], limit=5) as reader:
        assert reader.read().to_pylist() == tables.ramp().slice(0, 5).select(["id", "c_timestamp"]).to_pylist()
    with tunnel.open_preview_reader(client.entry(service).get_table("parted"), partition_spec="ds=20260101,region=eu", arrow=False) as reader:
        assert sum(1 for _ in reader) == 1000


def test_refusals_come_at_once(tunnel, service):
    with pytest.raises(odps.errors.NoSuchTable):
        tunnel.create_download_session("nothing")
    with pytest.raises(odps.errors.NoSuchTable):
        tunnel.create_upload_session("nothing")
    with pytest.raises(ODPSError, match="no stream uploads"):
        tunnel.create_stream_upload_session("ramp")
    with pytest.raises(ODPSError, match="no upserts"):
        tunnel.create_upsert_session("ramp")
    with pytest.raises(odps.errors.ODPSError, match="no download session"):
        tunnel.create_download_session("ramp", download_id="nothing")


def test_volumes_are_refused_at_once(service, monkeypatch):
    slept = sleeps(monkeypatch)
    volumes = VolumeTunnel(client.entry(service))
    with pytest.raises(ODPSError) as refused:
        volumes.create_upload_session("v", "p")
    assert refused.value.status_code == 404
    with pytest.raises(ODPSError) as refused:
        volumes.create_download_session("v", "p", "f")
    assert refused.value.status_code == 404
    files = VolumeFSTunnel(client.entry(service))
    with pytest.raises(ODPSError) as refused:
        files.open_reader("v", "f", start=0, length=1)
    assert refused.value.status_code == 404
    with pytest.raises(ODPSError) as refused:
        with files.open_writer("v", "f") as writer:
            writer.write(b"bytes")
    assert refused.value.status_code == 404
    with pytest.raises(ODPSError) as refused:
        client.entry(service).create_parted_volume("v")
    assert refused.value.status_code == 501
    assert slept == []


def test_what_the_tunnel_answers_501_is_repeated_for_two_minutes(tunnel, monkeypatch):
    """Why refusals of the tunnel that this client can meet are 404 and 405."""
    slept = sleeps(monkeypatch)
    rest = tunnel.tunnel_rest
    with pytest.raises(ODPSError) as refused:
        TunnelRetryHandler().execute_with_retry(lambda: rest.get(f"{rest.endpoint}/nonsense"))
    assert refused.value.status_code == 501 and "GET /nonsense" in str(refused.value)
    assert sum(slept) == 127


def sleeps(monkeypatch):
    """What the tunnel sleeps before it repeats something, which takes no time now."""
    slept = []
    monkeypatch.setattr(RetryPolicy, "wait_for_next_retry", lambda self, attempt: slept.append(self.get_retry_wait_time(attempt)))
    return slept
