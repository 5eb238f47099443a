"""Primary-key tables: the story that the official C++ tests tell about versions and changes, told with SQL and with write streams."""
import itertools

import pyarrow as pa
import pytest
from odps.errors import InvalidArgument
from odps.maxstorage import IncrementalReadOptions, MaxStorageClient, SplitMode, SplitOptions
from odps.maxstorage.read.table_session import IndexedInputSplit, TableReadSession

import client

PROPERTIES = "tblproperties ('transactional'='true', 'acid.cdc.mode.enable'='true', 'write.bucket.num'='16')"
KEYED = """(id BIGINT PRIMARY KEY NOT NULL, val STRING) TBLPROPERTIES ("transactional"="true", "acid.cdc.mode.enable"="true",
    "acid.cdc.build.async"="false", "cdc.insert.into.passthrough.enable"="true", "write.bucket.num" = "16")"""
PARTED = f"(id bigint not null, val string, primary key (id)) partitioned by (pt string) {PROPERTIES}"
SYSTEM = ["__meta_timestamp", "__meta_op_type"]
INSERT, DELETE, UPDATE, BEFORE, AFTER = 2, 4, 8, 16, 32


@pytest.fixture(params=["2", "3"])
def storage(service, request, monkeypatch):
    """The client, taught to read the splits of mode Bucket as it reads those of mode Size."""
    usual = TableReadSession._materialize_splits

    def materialize(session):
        answer = session._response
        if answer.split_mode != "Bucket":
            return usual(session)
        return [IndexedInputSplit(answer.session_id, split) for split in range(answer.splits_count)]

    monkeypatch.setattr(TableReadSession, "_materialize_splits", materialize)
    return MaxStorageClient(client.entry(service), api_version=request.param)


@pytest.fixture
def sql(service):
    return lambda statement: client.entry(service).execute_sql(statement)


def read(storage, table, **request):
    session = storage.create_table_read_session(table, **request)
    parts = []
    for split in session.splits:
        with session.open_arrow_reader(split) as reader:
            parts.append(list(reader))
    return session, parts


def changes(storage, table, start, mode="cdc", **request):
    """Number of splits, newest version, and (id, val, code) of all rows in their order."""
    session, parts = read(
        storage,
        table,
        incremental_read_enabled=True,
        incremental_read_options=IncrementalReadOptions(version=mode, from_=start),
        split_options=SplitOptions(split_mode=SplitMode.BUCKET),
        **request,
    )
    rows = [row for batches in parts for batch in batches for row in batch.to_pylist()]
    assert all(list(row)[-2:] == SYSTEM for row in rows)
    return len(parts), session.latest_version, [(row["id"], row["val"], row["__meta_op_type"]) for row in rows]


def state(storage, table):
    return {row["id"]: row["val"] for row in client.rows(itertools.chain(*read(storage, table)[1]))}


@pytest.mark.parametrize("columns,into", [(KEYED, ""), (PARTED, " partition (pt='a')")])
def test_versions_and_changes(storage, service, sql, columns, into):
    table = client.create(service, columns)
    assert changes(storage, table, 0) == (0, 1, [])
    sql(f"insert into table {table}{into} values (1, '1');")
    assert changes(storage, table, 1) == (1, 2, [(1, "1", INSERT)])
    sql(f"insert into table {table}{into} values (2, '2');")
    assert changes(storage, table, 2) == (1, 3, [(2, "2", INSERT)])
    assert state(storage, table) == {1: "1", 2: "2"}
    sql(f"delete from {table} where id = 2;")
    assert changes(storage, table, 3) == (1, 4, [(2, "2", DELETE)])
    assert changes(storage, table, 3, "append") == (1, 4, [])
    sql(f"update {table} set val = '3' where id = 1;")
    assert changes(storage, table, 4) == (1, 5, [(1, "1", BEFORE), (1, "3", AFTER)])
    assert changes(storage, table, 4, "append") == (1, 5, [(1, "3", UPDATE)])
    splits, newest, rows = changes(storage, table, 0)
    assert (splits, newest, len(rows)) == (2, 5, 5)
    assert changes(storage, table, 0, "append") == (2, 5, [(1, "3", UPDATE)])
    assert changes(storage, table, 5) == (0, 5, [])
    assert state(storage, table) == {1: "3"}


def test_changes_of_some_partitions(storage, service, sql):
    table = client.create(service, PARTED)
    for partition, key in (("a", 1), ("b", 2), ("c", 3)):
        sql(f"insert into table {table} partition (pt='{partition}') values ({key}, 'x');")
    _, _, rows = changes(storage, table, 0, partitions=["pt=a", "pt=c"])
    assert sorted(row[0] for row in rows) == [1, 3]


def operations(*rows):
    keys, values, codes = zip(*rows)
    columns = {"id": pa.array(keys, pa.int64()), "val": pa.array(values, pa.string())}
    return pa.record_batch({**columns, "__operation": pa.array([code and ord(code) for code in codes], pa.int8())})


def write(storage, table, *batches, **request):
    session = storage.create_table_write_session(table, **request)
    with session.open_arrow_writer("a") as writer:
        for batch in batches:
            writer.write_batch(batch)
    session.commit()


def test_streams_of_operations(storage, service):
    table = client.create(service, KEYED)
    many = operations(*((key, f"v{key}", "U") for key in range(1000)))
    write(storage, table, many, operations((7, "new", "U"), (8, None, "D"), (5000, None, "D"), (9, "null", None)))
    expected = {**{key: f"v{key}" for key in range(1000) if key != 8}, 7: "new", 9: "null"}
    assert state(storage, table) == expected
    splits, newest, rows = changes(storage, table, 1)
    assert (splits, newest) == (16, 2)
    assert {(key, value) for key, value, code in rows if code == INSERT} == set(expected.items())
    write(storage, table, operations((1, "only", "U")), overwrite=True)
    assert state(storage, table) == {1: "only"}
    codes = [code for _, _, code in changes(storage, table, 2)[2]]
    assert [codes.count(code) for code in (DELETE, BEFORE, AFTER)] == [998, 1, 1]


def test_a_session_keeps_its_version(storage, service):
    table = client.create(service, KEYED)
    write(storage, table, operations(*((key, "old", "U") for key in range(50))))
    session = storage.create_table_read_session(
        table, split_options=SplitOptions(split_mode=SplitMode.ROW_OFFSET, split_number=7)
    )
    assert session.record_count == 50
    write(storage, table, operations(*((key, None, "D") for key in range(50))))
    batches = [batch for split in session.splits for batch in session.open_arrow_reader(split)]
    assert {row["val"] for row in client.rows(batches)} == {"old"}
    assert sorted(row["id"] for row in client.rows(batches)) == list(range(50))
    assert state(storage, table) == {}


@pytest.mark.parametrize("mode", [SplitMode.SIZE, SplitMode.ROW_OFFSET])
def test_changes_come_by_bucket_only(storage, service, mode):
    table = client.create(service, KEYED)
    with pytest.raises(InvalidArgument, match="mode Bucket only"):
        storage.create_table_read_session(
            table,
            incremental_read_enabled=True,
            incremental_read_options=IncrementalReadOptions(version="cdc", from_=0),
            split_options=SplitOptions(split_mode=mode),
        )
