"""One line each for the libraries that take Arrow streams: a session is a table to them."""
import sys

import maxstorage

client = maxstorage.Client(endpoint=sys.argv[1], access_key_id="local", access_key_secret="local", project="local")
session = client.read("nation")


def pyarrow_rows():
    import pyarrow

    return pyarrow.table(session).num_rows


def polars_rows():
    import polars

    return polars.DataFrame(session).height


def duckdb_rows():
    import duckdb

    return duckdb.sql("select count(*) from session").fetchall()[0][0]


def datafusion_rows():
    import datafusion

    return datafusion.SessionContext().from_arrow(session).count()


for read in (pyarrow_rows, polars_rows, duckdb_rows, datafusion_rows):
    name = read.__name__.removesuffix("_rows")
    assert read() == 25, name
    print(f"{name}: 25 rows")
