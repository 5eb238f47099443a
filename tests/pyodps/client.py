"""The official client, set up for the service, and rows as Python values."""
import itertools
import os

import odps
import pyarrow as pa

_numbers = itertools.count(1)


def entry(service, access_id="local", secret="local", **settings):
    return odps.ODPS(access_id, secret, project="local", endpoint=f"{service}/api", **settings)


def create(service, columns):
    """Creates a table with a name of its own; `columns` is what follows the name in the statement."""
    name = f"python_{os.getpid()}_{next(_numbers)}"
    entry(service).execute_sql(f"create table {name} {columns};")
    return name


def rows(batches, *order):
    """The rows of record batches as dictionaries, sorted by a column if one is named."""
    result = [row for batch in batches for row in batch.to_pylist()]
    return sorted(result, key=lambda row: row[order[0]]) if order else result


def batch(first, last, **further):
    """Rows first to last - 1 of a table (id bigint, name string), and further columns made from the number of a row."""
    numbers = range(first, last)
    columns = {"id": pa.array(numbers, pa.int64()), "name": pa.array([f"n{number}" for number in numbers], pa.string())}
    columns.update({name: pa.array([value(number) for number in numbers]) for name, value in further.items()})
    return pa.record_batch(columns)
