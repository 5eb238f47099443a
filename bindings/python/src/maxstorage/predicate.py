"""Filters as trees of typed comparisons: `(col("id") >= 10) & ~col("note").is_null()`."""
import ctypes
import datetime
import decimal
from ctypes import byref, c_void_p

from ._native import ArrowArray, ArrowSchema, lib
from .errors import make

_EQ, _NE, _LT, _LE, _GT, _GE = range(6)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class Predicate:
    """A filter. `&`, `|` and `~` combine filters; what is made of one stays when it goes."""

    def __init__(self, handle):
        self._handle = handle

    @classmethod
    def parse(cls, text):
        """Text in the grammar of the service; docs/predicates.md has it."""
        return cls(make(lib.ms_predicate_parse, text.encode()))

    @classmethod
    def from_substrait(cls, message):
        """A Substrait message: an ExtendedExpression with one condition; docs/predicates.md has what is taken."""
        message = bytes(message)
        return cls(make(lib.ms_predicate_from_substrait, message, len(message)))

    def __and__(self, other):
        return Predicate(make(lib.ms_predicate_and, *_operands(self, other)))

    def __or__(self, other):
        return Predicate(make(lib.ms_predicate_or, *_operands(self, other)))

    def __invert__(self):
        return Predicate(make(lib.ms_predicate_not, self._handle))

    def __bool__(self):
        raise TypeError("a filter is neither true nor false; combine filters by &, | and ~")

    def __str__(self):
        return lib.ms_predicate_text(self._handle).decode()

    def __del__(self, free=lib.ms_predicate_free):
        free(self.__dict__.pop("_handle", None))


def predicate_of(filter, schema):
    """A filter as a Predicate: one that is, or a `pyarrow.compute.Expression` on columns of what `schema` returns."""
    return Predicate.from_substrait(filter.to_substrait(_plain(schema()))) if hasattr(filter, "to_substrait") else filter


def _plain(schema):
    """The columns for pyarrow, which writes neither literals of nanoseconds nor columns of the forms that types.string_view and
    types.large_offsets ask for. Values are compared, so the form does not matter."""
    import pyarrow
    from pyarrow import types

    def plain(kind):
        if types.is_timestamp(kind):
            return pyarrow.timestamp("us", kind.tz)
        if types.is_large_string(kind) or types.is_string_view(kind):
            return pyarrow.string()
        if types.is_large_binary(kind) or types.is_binary_view(kind):
            return pyarrow.binary()
        return kind

    return pyarrow.schema([field.with_type(plain(field.type)) for field in pyarrow.schema(schema)])


def _operands(*predicates):
    return (c_void_p * len(predicates))(*(predicate._handle for predicate in predicates)), len(predicates)


class Column:
    """A column in a filter: a name, or names with dots in between for a field of a struct; odd names in back-quotes.

    Literals are int, float, bool, str, bytes, date, datetime, Decimal or None, or an Arrow array of any library.
    """

    __hash__ = None

    def __init__(self, name):
        self._name = name.encode()

    def __eq__(self, value):
        return self._compare(_EQ, value)

    def __ne__(self, value):
        return self._compare(_NE, value)

    def __lt__(self, value):
        return self._compare(_LT, value)

    def __le__(self, value):
        return self._compare(_LE, value)

    def __gt__(self, value):
        return self._compare(_GT, value)

    def __ge__(self, value):
        return self._compare(_GE, value)

    def is_null(self):
        """There is no value."""
        return Predicate(make(lib.ms_predicate_is_null, self._name, False))

    def is_not_null(self):
        """There is a value."""
        return Predicate(make(lib.ms_predicate_is_null, self._name, True))

    def is_in(self, values):
        """One of some literals; None stands for NULL."""
        return self._list(False, values)

    def not_in(self, values):
        """None of some literals."""
        return self._list(True, values)

    def _compare(self, op, value):
        with _Literals(value if hasattr(value, "__arrow_c_array__") else [value]) as literals:
            return Predicate(make(lib.ms_predicate_compare, self._name, op, *literals))

    def _list(self, negated, values):
        with _Literals(values) as literals:
            return Predicate(make(lib.ms_predicate_in, self._name, negated, *literals))


def col(name):
    """A column in a filter: `col("id") >= 10`."""
    return Column(name)


class _Literals:
    """Values as an Arrow array in memory of this process, for one call, which takes the array and leaves the schema."""

    def __init__(self, values):
        self._values = values

    def __enter__(self):
        if hasattr(self._values, "__arrow_c_array__"):
            self._capsules = self._values.__arrow_c_array__()
            return tuple(_content(capsule, kind) for capsule, kind in zip(self._capsules, (b"arrow_schema", b"arrow_array")))
        self._schema, self._array = _build(list(self._values))
        return byref(self._schema), byref(self._array)

    def __exit__(self, *_):
        self._capsules = None  # they release what the library did not take


def _content(capsule, name):
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = c_void_p, [ctypes.py_object, ctypes.c_char_p]
    kind = ArrowSchema if name == b"arrow_schema" else ArrowArray
    return ctypes.cast(pointer(capsule, name), ctypes.POINTER(kind))


def _numbers(kind, format, convert):
    def write(values):
        return format, [(kind * len(values))(*(0 if value is None else convert(value) for value in values))]

    return write


def _whole(value):
    if not -(2**63) <= value < 2**63:
        raise OverflowError(f"{value} does not fit 64 bits; use a Decimal")
    return value


def _bools(values):
    return b"b", [_bits(value is True for value in values)]


def _texts(format, encode):
    def write(values):
        parts = [b"" if value is None else encode(value) for value in values]
        offsets = (ctypes.c_int32 * (len(parts) + 1))()
        for i, part in enumerate(parts):
            offsets[i + 1] = offsets[i] + len(part)
        return format, [offsets, ctypes.create_string_buffer(b"".join(parts))]

    return write


def _decimals(values):
    scale = max((-value.as_tuple().exponent for value in values if value is not None), default=0)
    scale = max(scale, 0)
    content = b"".join(int((value or decimal.Decimal(0)).scaleb(scale, _WIDE)).to_bytes(16, "little", signed=True) for value in values)
    return f"d:38,{scale}".encode(), [ctypes.create_string_buffer(content)]


_WIDE = decimal.Context(prec=80)


def _micros(value):
    aware = value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
    return (aware - _EPOCH) // datetime.timedelta(microseconds=1)


# The first class that a value is of decides; bool before int, datetime before date.
_WRITERS = [
    (bool, _bools),
    (int, _numbers(ctypes.c_int64, b"l", _whole)),
    (float, _numbers(ctypes.c_double, b"g", float)),
    (str, _texts(b"u", str.encode)),
    (bytes, _texts(b"z", bytes)),
    (datetime.datetime, _numbers(ctypes.c_int64, b"tsu:UTC", _micros)),
    (datetime.date, _numbers(ctypes.c_int32, b"tdD", lambda value: value.toordinal() - datetime.date(1970, 1, 1).toordinal())),
    (decimal.Decimal, _decimals),
]


def _bits(flags):
    flags = list(flags)
    bits = (ctypes.c_uint8 * max(1, (len(flags) + 7) // 8))()
    for i, flag in enumerate(flags):
        bits[i // 8] |= bool(flag) << i % 8
    return bits


# Keep their arrays alive until the library releases them.
_alive = {}


@ctypes.CFUNCTYPE(None, ctypes.POINTER(ArrowArray))
def _release_array(array):
    _alive.pop(array.contents.private_data, None)
    ctypes.memset(ctypes.addressof(array.contents) + ArrowArray.release.offset, 0, ArrowArray.release.size)


@ctypes.CFUNCTYPE(None, ctypes.POINTER(ArrowSchema))
def _release_schema(schema):
    ctypes.memset(ctypes.addressof(schema.contents) + ArrowSchema.release.offset, 0, ArrowSchema.release.size)


def _kind(value):
    for kind, _ in _WRITERS:
        if isinstance(value, kind):
            return kind
    raise TypeError(f"{type(value).__name__} is no literal of a filter; use an Arrow array")


def _build(values):
    given = [value for value in values if value is not None]
    kind = _kind(given[0]) if given else int
    for value in given:
        if _kind(value) is not kind and (kind, _kind(value)) != (float, int):
            raise TypeError(f"{type(given[0]).__name__} and {type(value).__name__} cannot stand in one list")
    format, content = dict(_WRITERS)[kind](values)
    buffers = [_bits(value is not None for value in values), *content]
    pointers = (c_void_p * len(buffers))(*(ctypes.addressof(buffer) for buffer in buffers))
    schema = ArrowSchema(format=format, name=b"", flags=2, release=_release_schema)
    number = ctypes.addressof(pointers)
    _alive[number] = (buffers, pointers)
    array = ArrowArray(
        length=len(values), null_count=sum(value is None for value in values), n_buffers=len(buffers),
        buffers=pointers, release=_release_array, private_data=number,
    )  # fmt: skip
    return schema, array
