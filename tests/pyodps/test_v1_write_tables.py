"""The official client of version 1 writes every type, in every unit, into clustered tables, and reads back what it wrote."""
import pyarrow as pa
import pytest
from odps.apis.storage_api import (
    ArrowOptions,
    Compression,
    ReadRowsRequest,
    SplitOptions,
    TableBatchScanRequest,
    TableBatchWriteRequest,
)
from odps.errors import ODPSError

import client
import tables
from test_v1_write import begin, commit, storage, write

TYPES = "written_types"


def read(api):
    session = api.create_read_session(TableBatchScanRequest())
    batches = []
    for index in range(session.split_count):
        reader = api.read_rows_arrow(ReadRowsRequest(session.session_id, split_index=index))
        while (batch := reader.read()) is not None:
            batches.append(batch)
    return pa.Table.from_batches(batches)


def cells(column):
    """A column as something that can be compared: NaN equals nothing, so FLOAT and DOUBLE are compared as text."""
    return column.cast(pa.string()) if pa.types.is_floating(column.type) else column


@pytest.mark.parametrize("compression", list(Compression))
def test_every_type(service, compression):
    api = storage(service, TYPES)
    session = begin(api, overwrite=True)
    assert [column.name for column in session.data_schema.data_columns] == [name for name, _, _ in tables.COLUMNS]
    rows = tables.many_rows(10_000).combine_chunks()
    parts = [write(api, session, block, *rows.slice(5000 * block, 5000).to_batches(), compression=compression) for block in range(2)]
    commit(api, session, *parts)
    written, loaded = read(api), read(storage(service, "many_rows")).slice(0, 10_000)
    assert written.schema == loaded.schema
    for name in written.column_names:
        assert cells(written[name]) == cells(loaded[name]), name


@pytest.mark.parametrize("unit, arrow", [("second", "s"), ("milli", "ms"), ("micro", "us"), ("nano", "ns")])
def test_units_of_timestamps(service, unit, arrow):
    """A stream has the units that its session named, and no others."""
    api = storage(service, "written_times")
    options = ArrowOptions(timestamp_unit=ArrowOptions.TimestampUnit(unit), date_time_unit=ArrowOptions.TimestampUnit("milli"))
    session = api.create_write_session(TableBatchWriteRequest(overwrite=True, arrow_options=options))
    times = pa.array([0, 86400, None, -1], pa.int64())
    column = pa.array([None if t is None else t * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[arrow] for t in times.to_pylist()], pa.int64())
    batch = pa.record_batch({"t": column.cast(pa.timestamp(arrow))})
    commit(api, session, write(api, session, 0, batch))
    assert read(api)["t"].cast(pa.timestamp("s")).cast(pa.int64()).to_pylist() == times.to_pylist()
    session = api.create_write_session(TableBatchWriteRequest(arrow_options=options))
    other = pa.record_batch({"t": column.cast(pa.timestamp("s" if arrow != "s" else "ms"))})
    with pytest.raises(ODPSError, match="unit"):
        write(api, session, 0, other)


@pytest.mark.parametrize("kind, name", [("clustered", "HASH"), ("range clustered", "RANGE")])
def test_clustered_tables(service, kind, name):
    """The client learns how rows are to be distributed; whether or not it does so, every bucket is disjoint from the others."""
    table = client.create(service, f"(id bigint, name string) {kind} by (id) sorted by (id) into 4 buckets")
    api = storage(service, table)
    session = begin(api, support_write_cluster=True)
    assert (session.required_distribution.type, session.required_distribution.buckets_number) == (name, 4)
    assert session.required_distribution.cluster_keys == ["id"]
    assert [(order.name, order.sort_direction) for order in session.required_ordering] == [("id", "ASC")]
    session = begin(api)
    shuffled = client.batch(0, 100).take(pa.array([number * 37 % 100 for number in range(100)]))
    commit(api, session, write(api, session, 0, shuffled.slice(0, 60)), write(api, session, 1, shuffled.slice(60)))
    scan = TableBatchScanRequest(split_options=SplitOptions.get_default_options(SplitOptions.SplitMode.BUCKET))
    session = api.create_read_session(scan)
    buckets = []
    for index in range(session.split_count):
        reader = api.read_rows_arrow(ReadRowsRequest(session.session_id, split_index=index))
        batches = []
        while (batch := reader.read()) is not None:
            batches.append(batch)
        buckets.append([row["id"] for row in client.rows(batches)])
        assert buckets[-1] == sorted(buckets[-1]), "a bucket is sorted, however many blocks its rows came in"
    assert len(buckets) == 4 and sorted(sum(buckets, [])) == list(range(100))
    if name == "RANGE":
        assert sorted(buckets) == [list(range(25 * bucket, 25 * bucket + 25)) for bucket in range(4)]
