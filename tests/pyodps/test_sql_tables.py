"""Definitions and values through the official client: what a statement writes is what every way of reading gives back."""
import datetime
import decimal

import pytest
from odps.errors import NoSuchObject, ODPSError
from odps.models import TableSchema

import client

VALUES = (
    "(1, 7Y, 8S, 9, 1.5F, 2.5, true, 'it\\'s ä \\\\ \\n', 'abc', X'00FF', date '2026-01-02', datetime '2026-01-02 03:04:05', 1.25, array(1, null), "
    "map('k', 7), named_struct('a', 1, 'b', 'x'))"
)
COLUMNS = (
    "(id bigint not null, a tinyint, b smallint, c int, d float, e double, f boolean, g string, h varchar(5), i binary, j date, k datetime, "
    "l decimal(10,2), m array<bigint>, n map<string,bigint>, o struct<a:bigint,b:string>)"
)


@pytest.fixture
def entry(service):
    return client.entry(service)


@pytest.mark.parametrize("tunnel", [False, True])
def test_every_type_comes_back_as_it_was_written(entry, service, tunnel):
    name = client.create(service, COLUMNS)
    entry.execute_sql(f"insert into {name} values {VALUES};")
    entry.execute_sql(f"insert into {name} (id) values (2);")
    # The client reads BINARY through the tunnel only.
    columns = "*" if tunnel else "id, a, b, c, d, e, f, g, h, null as i, j, k, l, m, n, o"
    with entry.execute_sql(f"select {columns} from {name} order by id;").open_reader(tunnel=tunnel) as reader:
        first, second = [list(record.values) for record in reader]
    day = datetime.date(2026, 1, 2)
    assert first[:4] == [1, 7, 8, 9] and first[4:7] == [1.5, 2.5, True]
    assert first[7:10] == ["it's ä \\ \n", "abc", b"\0\xff" if tunnel else None]
    assert first[10] == day and first[12] == decimal.Decimal("1.25")
    assert first[13:15] == [[1, None], {"k": 7}] and tuple(first[15]) == (1, "x")
    assert second == [2] + [None] * 15


def test_documents(entry, service):
    name = client.create(
        service,
        "(id bigint not null comment 'the key', v string, primary key (id)) comment 'a table' "
        "tblproperties ('transactional'='true', 'write.bucket.num'='4') lifecycle 3",
    )
    table = entry.get_table(name)
    assert (table.comment, table.lifecycle, table.primary_key) == ("a table", 3, ["id"])
    assert table.is_transactional and not table.table_schema["id"].nullable and table.table_schema["id"].comment == "the key"
    entry.execute_sql(f"create view {name}_v as select id from {name}")
    assert entry.get_table(f"{name}_v").type.name == "VIRTUAL_VIEW" and entry.get_table(f"{name}_v").is_virtual_view
    assert [found.name for found in entry.list_tables(prefix=f"{name}_")] == [f"{name}_v"]
    entry.delete_view(f"{name}_v")


def test_changes_of_tables(entry, service):
    name = client.create(service, "(id bigint) partitioned by (ds string)")
    table = entry.get_table(name)
    entry.execute_sql(f"insert into {name} partition (ds='1') values (1)")
    table.add_columns("more string comment 'added'")
    assert table.table_schema["more"].comment == "added"
    with entry.execute_sql(f"select id, more, ds from {name}").open_reader(tunnel=False) as reader:
        assert [tuple(record.values) for record in reader] == [(1, None, "1")]
    table.set_comment("new")
    table.set_lifecycle(9)
    table.reload()
    assert (table.comment, table.lifecycle) == ("new", 9)
    table.truncate(partition_spec="ds=1")
    assert table.get_partition("ds=1").size == 0
    table.rename(f"{name}_new")
    assert entry.exist_table(f"{name}_new") and not entry.exist_table(name)


def test_schemas(entry):
    entry.create_schema("made_here")
    assert "made_here" in [schema.name for schema in entry.list_schemas()]
    schema = TableSchema.from_lists(["id"], ["bigint"])
    entry.create_table("inside", schema, schema="made_here")
    assert entry.exist_table("inside", schema="made_here") and not entry.exist_table("inside")
    with pytest.raises(ODPSError):
        entry.delete_schema("made_here")
    entry.delete_table("inside", schema="made_here")
    entry.delete_schema("made_here")
    with pytest.raises(NoSuchObject):
        entry.get_schema("made_here").reload()


def test_an_instance_is_stopped_once(entry):
    instance = entry.execute_sql("select 1 as one;")
    with pytest.raises(ODPSError):
        instance.stop()
