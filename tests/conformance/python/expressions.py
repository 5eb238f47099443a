"""Filters that other engines have written as Substrait, against those engines: pyarrow's expressions and conditions of DataFusion's SQL.

Each is read through the running service with filter.exact, and by the engine itself from the same rows.
"""
import datetime
import decimal
import os
import random
import sys

import datafusion
import datafusion.substrait
import maxstorage
import pyarrow as pa
import pyarrow.compute as pc

SEED, EXPRESSIONS = 20261128, 300
UTC = datetime.timezone.utc


def client():
    return maxstorage.Client(endpoint=os.environ["MS_TEST_ENDPOINT"], access_key_id="local", access_key_secret="local", project="local")


def ids(filter):
    return sorted(pa.table(client().read("ramp", filter=filter, filter__exact=True))["id"].to_pylist())


# ------------------------------------------------------------------------------------------------------------------------ pyarrow


class Conditions:
    """Random conditions, each with what it means: pyarrow's `isin` takes NULL for a value, Substrait and SQL do not."""

    def __init__(self, rows):
        self.random = random.Random(SEED)
        self.rows = rows
        # What pyarrow compares as MaxCompute does: CHAR has blanks at its end.
        self.names = [name for name in rows.column_names if name != "c_char"]

    def literal(self, name):
        column = self.rows[name]
        kind = column.type
        value = self.random.choice(column)
        if self.random.random() < 0.05:
            value = pa.scalar(None, kind)
        elif self.random.random() < 0.3:
            value = pa.scalar(beside(value.as_py(), self.random), kind)
        return value.cast(pa.timestamp("us", kind.tz)) if pa.types.is_timestamp(kind) else value

    def test(self):
        name = self.random.choice(self.names)
        column, way = pc.field(name), self.random.randrange(9)
        if way == 0:
            return (column.is_null(), column.is_null()) if self.random.random() < 0.5 else (column.is_valid(), column.is_valid())
        if way == 1:
            values = [self.literal(name) for _ in range(self.random.randrange(5))]
            kind = values[0].type if values else self.rows[name].type
            written = column.isin(pa.array([value.as_py() for value in values], kind))
            meant = pc.scalar(False)
            for value in values:
                meant = meant | (column == value)
            return written, meant
        if way == 2 and name != "c_boolean":
            return (pc.field("c_boolean"),) * 2
        value = self.literal(name)
        left, right = (column, pc.scalar(value)) if self.random.random() < 0.8 else (pc.scalar(value), column)
        test = [left == right, left != right, left < right, left <= right, left > right, left >= right][self.random.randrange(6)]
        return test, test

    def of(self, levels):
        if levels == 0 or self.random.random() < 0.2:
            return self.test()
        way = self.random.randrange(5)
        if way == 0:
            written, meant = self.of(levels - 1)
            return ~written, ~meant
        (one, one_meant), (other, other_meant) = self.of(levels - 1), self.of(levels - 1)
        return (one & other, one_meant & other_meant) if way < 3 else (one | other, one_meant | other_meant)


def beside(value, random):
    """A value that the column may not have."""
    step = random.choice([-1, 1])
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return value + step if -100 < value < 100 else value // 2
    if isinstance(value, decimal.Decimal):
        return value + decimal.Decimal("0.01") * step
    if isinstance(value, (str, bytes)):
        return value[:-1] if step < 0 else value + value[:1]
    return value + datetime.timedelta(days=step)


def pyarrow_expressions():
    rows = pa.table(client().read("ramp"))
    conditions, some, nothing = Conditions(rows), 0, 0
    for number in range(EXPRESSIONS):
        written, meant = conditions.of(3)
        wanted = sorted(rows.filter(meant)["id"].to_pylist())
        assert ids(written) == wanted, f"number {number} of seed {SEED}: {written}"
        some += 0 < len(wanted) < rows.num_rows
        nothing += not wanted
    assert some > EXPRESSIONS // 2 and nothing > 0, (some, nothing)


def pyarrow_expressions_everywhere():
    session = client().read("ramp", split__mode="parallelism", split__parallelism=1)
    split = session.split(0)
    split.add_filter(pc.field("id") >= 3990)
    assert sum(len(pa.record_batch(batch)) for batch in split) == 10
    with session.scan() as scan:
        scan.add_filter(pc.field("c_timestamp") < datetime.datetime(1970, 1, 1, tzinfo=UTC))
        assert 0 < sum(len(pa.record_batch(batch)) for batch in scan) < 2000
    # Forms that pyarrow has no literals for.
    for form in ("types__string_view", "types__large_offsets"):
        session = client().read("ramp", split__mode="parallelism", split__parallelism=1, **{form: "true"})
        split = session.split(0)
        split.add_filter(pc.field("c_string").is_null())
        some = sum(len(pa.record_batch(batch)) for batch in split)
        split = session.split(0)
        split.add_filter(pc.field("c_string") >= "")
        assert some + sum(len(pa.record_batch(batch)) for batch in split) == 4000, form
    assert pa.table(client().partitions("parted", pc.field("ds") == "20260102")).num_rows == 1
    try:
        ids(pc.starts_with(pc.field("c_string"), "it"))
        raise AssertionError("a function was taken")
    except maxstorage.CallerError as failure:
        assert failure.name == "MS_UNSUPPORTED" and "`starts_with` of `https://" in str(failure), failure


# --------------------------------------------------------------------------------------------------------------------- DataFusion


def varint(bytes, at):
    value = shift = 0
    while True:
        value, shift, at = value | (bytes[at] & 127) << shift, shift + 7, at + 1
        if bytes[at - 1] < 128:
            return value, at


def fields(message):
    """The fields of a message with their numbers; of those that are messages or text."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        if key & 7 == 0:
            _, at = varint(message, at)
        elif key & 7 == 2:
            length, at = varint(message, at)
            yield key >> 3, message[at : at + length]
            at += length
        else:
            at += 8 if key & 7 == 1 else 4


def below(message, *path):
    for number in path:
        message = next(content for found, content in fields(message) if found == number)
    return message


def field(number, content):
    size, length = len(content), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content


CONDITIONS = [
    "id >= 3990",
    "c_int is null and id < 50",
    "(id > 10 or c_string in ('it''s 0001', 'it''s 0002')) and not (id between 20 and 3980)",
    "c_date between date '1990-01-01' and date '2001-01-01' and c_boolean",
    "c_decimal in (1.25, 2.50) or c_double < 0 and c_tinyint <> 5",
    "c_timestamp_ntz >= timestamp '2000-01-01 00:00:00' and c_timestamp_ntz < timestamp '2001-01-01 00:00:00'",
    "c_varchar >= 'v0100' and c_varchar < 'v0200' and c_string is not null",
    " and ".join(f"id <> {number}" for number in range(60)),
]


def datafusion_conditions():
    """A plan has the condition; it is put into an expression with the plan's functions and schema."""
    context = datafusion.SessionContext()
    rows = pa.table(client().read("ramp"))
    context.register_record_batches("ramp", [rows.to_batches()])
    for condition in CONDITIONS:
        wanted = sorted(row["id"] for batch in context.sql(f"select id from ramp where {condition}").collect() for row in batch.to_pylist())
        assert 0 < len(wanted) < rows.num_rows, condition
        plan = bytes(datafusion.substrait.Serde.serialize_bytes(f"select * from ramp where {condition}", context))
        filter = below(plan, 3, 2, 1, 2)
        declared = b"".join(field(number, content) for number, content in fields(plan) if number == 2)
        message = declared + field(3, field(1, below(filter, 3))) + field(4, below(filter, 2, 1, 2))
        assert ids(maxstorage.Predicate.from_substrait(message)) == wanted, condition


failed = 0
for test in (pyarrow_expressions, pyarrow_expressions_everywhere, datafusion_conditions):
    try:
        test()
        print(f"ok     {test.__name__}", flush=True)
    except Exception as error:  # the others are tried
        failed = 1
        print(f"  {type(error).__name__}: {error}")
        print(f"FAILED {test.__name__}", flush=True)
sys.exit(failed)
