"""The official client's own ways with tables: metadata, statements, results, tunnel."""
import datetime
import decimal

import odps
import pyarrow as pa
import pytest
from odps.errors import NoSuchObject, NoSuchTable, ODPSError, ParseError
from odps.models import TableSchema

import client


@pytest.fixture
def entry(service):
    return client.entry(service)


def test_tables_are_made_listed_and_dropped(entry, service):
    name = client.create(service, "(id bigint)")
    assert entry.exist_table(name) and name in [table.name for table in entry.list_tables()]
    entry.delete_table(name)
    assert not entry.exist_table(name)
    schema = TableSchema.from_lists(["id", "amount", "tags"], ["bigint", "decimal(10,2)", "array<string>"], ["ds"], ["string"])
    table = entry.create_table(name, schema, comment="a comment", lifecycle=7, if_not_exists=True)
    entry.create_table(name, schema, if_not_exists=True)
    table.reload()
    assert table.comment == "a comment" and table.lifecycle == 7 and table.table_schema.get_column("amount").type == "decimal(10,2)"
    assert [column.name for column in table.table_schema.partitions] == ["ds"]
    table.drop()
    with pytest.raises(NoSuchObject):
        entry.get_table(name).reload()


def test_partitions(entry, service):
    table = entry.get_table(client.create(service, "(id bigint) partitioned by (ds string, hh bigint)"))
    for hour in range(3):
        table.create_partition(f"ds=20260101,hh={hour}", if_not_exists=True)
    assert table.exist_partition("ds=20260101,hh=1") and not table.exist_partition("ds=20260101,hh=9")
    assert [str(partition.partition_spec) for partition in table.partitions] == [f"ds='20260101',hh='{hour}'" for hour in range(3)]
    table.delete_partition("ds=20260101,hh=1")
    assert len(list(table.iterate_partitions("ds=20260101"))) == 2


def test_statements(entry, service):
    name = client.create(service, "(id bigint, name string, amount decimal(10,2), day date, at datetime)")
    entry.execute_sql(f"insert into {name} values (1, 'it''s', 1.50, date '2026-01-02', datetime '2026-01-02 03:04:05'), (2, null, null, null, null);")
    entry.execute_sql(f"insert into table {name} select id + 10, name, amount, day, at from {name} where id = 1;")
    with entry.execute_sql(f"select id, name, amount, day from {name} order by id limit 10;").open_reader(tunnel=False) as reader:
        values = [tuple(record.values) for record in reader]
    first = (1, "it's", decimal.Decimal("1.50"), datetime.date(2026, 1, 2))
    assert [tuple(value) for value in values] == [first, (2, None, None, None), (11, *first[1:])]
    with entry.execute_sql(f"select count(*) as n from {name};").open_reader(tunnel=True) as reader:
        assert [record["n"] for record in reader] == [3]
    entry.execute_sql(f"truncate table {name};")
    with entry.execute_sql(f"select * from {name};").open_reader(tunnel=True) as reader:
        assert reader.count == 0


@pytest.mark.parametrize("arrow", [False, True])
def test_results_through_the_instance_tunnel(entry, arrow):
    with entry.execute_sql("select id, c_string from ramp where id < 100;").open_reader(tunnel=True, arrow=arrow) as reader:
        values = reader.read_all().to_pylist() if arrow else [{"id": record["id"], "c_string": record["c_string"]} for record in reader]
    assert sorted(row["id"] for row in values) == list(range(100))
    assert {row["id"]: row["c_string"] for row in values}[99] == "it's 0099"


def test_failures_are_classes(entry):
    with pytest.raises(ParseError):
        entry.execute_sql("selekt 1;")
    with pytest.raises(NoSuchTable):
        entry.execute_sql("select * from nothing;")
    with pytest.raises(ODPSError):
        entry.execute_sql("select no_such_function(id) from ramp;")


@pytest.mark.parametrize("arrow", [False, True])
def test_tables_through_the_tunnel(entry, service, arrow):
    name = client.create(service, "(id bigint, name string)")
    table = entry.get_table(name)
    with table.open_writer(arrow=arrow) as writer:
        writer.write(client.batch(0, 1000) if arrow else [[number, f"n{number}"] for number in range(1000)])
    with table.open_reader(arrow=arrow) as reader:
        assert reader.count == 1000
        rows = reader.read_all().to_pylist() if arrow else [{"id": record["id"], "name": record["name"]} for record in reader]
    assert sorted(rows, key=lambda row: row["id"]) == client.rows([client.batch(0, 1000)])
    with table.open_writer(overwrite=True, arrow=arrow) as writer:
        writer.write(client.batch(5, 7) if arrow else [[number, f"n{number}"] for number in range(5, 7)])
    with table.open_reader() as reader:
        assert sorted(record["id"] for record in reader) == [5, 6]


def test_partitions_through_the_tunnel(entry, service):
    table = entry.get_table(client.create(service, "(id bigint, name string) partitioned by (ds string)"))
    with table.open_writer("ds=20260101", create_partition=True) as writer:
        writer.write([[1, "one"], [2, None]])
    with table.open_reader("ds=20260101") as reader:
        assert [(record["id"], record["name"]) for record in reader] == [(1, "one"), (2, None)]


def test_head(entry):
    assert [record["id"] for record in entry.get_table("ramp").head(3)] == [0, 1, 2]


def test_instances(entry):
    instance = entry.execute_sql("select 1 as one;")
    assert instance.is_successful() and instance.is_terminated()
    assert entry.exist_instance(instance.id) and entry.get_instance(instance.id).is_terminated()
    assert instance.id in [listed.id for listed in entry.list_instances()]


def test_write_table(entry, service):
    name = client.create(service, "(id bigint, name string)")
    entry.write_table(name, [[1, "one"], [2, "two"]])
    assert sorted(tuple(record.values) for record in entry.read_table(name)) == [(1, "one"), (2, "two")]


def test_a_wrong_secret(service):
    with pytest.raises(odps.errors.SignatureNotMatch):
        client.entry(service, secret="wrong").get_table("ramp").reload()


def test_arrow_types_of_a_table(entry):
    with entry.get_table("ramp").open_reader(arrow=True) as reader:
        table = reader.read_all()
    assert table.num_rows == 4000 and table.schema.field("id").type == pa.int64() and table.schema.field("c_date").type == pa.date32()


def test_earlier_versions(entry, service):
    name = client.create(service, "(id bigint not null, name string, primary key (id)) tblproperties ('transactional'='true')")
    for statement in (f"insert into {name} values (1, 'one'), (2, 'two');", f"delete from {name} where id = 1;", f"insert into {name} values (2, 'new'), (3, 'three');"):
        entry.execute_sql(statement)

    def rows(as_of):
        with entry.execute_sql(f"select * from {name} {as_of};").open_reader(tunnel=True) as reader:
            return sorted(tuple(record.values) for record in reader)

    assert [rows(f"version as of {version}") for version in (1, 2, 3)] == [[], [(1, "one"), (2, "two")], [(2, "two")]]
    assert rows("version as of 4") == rows("timestamp as of datetime'2999-01-01 00:00:00'") == rows("") == [(2, "new"), (3, "three")]
    for refused in ("version as of 5", "version as of 0", "timestamp as of datetime'2000-01-01 00:00:00'"):
        with pytest.raises(ODPSError):
            rows(refused)
    with pytest.raises(ODPSError):
        entry.execute_sql("select * from ramp version as of 1;")


def test_other_objects_are_not_there(service):
    entry = client.entry(service)
    assert not entry.exist_function("f")
    assert not entry.exist_resource("r")
    assert not entry.exist_volume("v")
    assert not entry.exist_xflow("x")
    assert not entry.exist_offline_model("m")
    lists = (entry.list_functions, entry.list_resources, entry.list_volumes, entry.list_xflows, entry.list_offline_models)
    assert [list(entries()) for entries in lists] == [[]] * 5
    for create in (lambda: entry.create_function("f", class_type="a.B"), lambda: entry.create_resource("r.py", "py", fileobj="pass")):
        with pytest.raises(odps.errors.ODPSError) as refused:
            create()
        assert refused.value.status_code == 501
