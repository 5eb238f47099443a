"""Arrow structures as PyCapsules: what pyarrow, Polars, DuckDB, DataFusion and others take without a copy."""
import ctypes
from ctypes import byref

from ._native import ArrowArray, ArrowArrayStream, ArrowSchema
from .errors import call

_api = ctypes.pythonapi
_Destructor = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_new = _api.PyCapsule_New
_new.restype, _new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, _Destructor]
_pointer = ctypes.PyDLL(None).PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]
_allocate, _free = _api.PyMem_RawMalloc, _api.PyMem_RawFree
_allocate.restype, _allocate.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
_free.restype, _free.argtypes = None, [ctypes.c_void_p]


def _kind(struct, name):
    """A function that moves a structure of a kind into a capsule, which releases it unless a consumer took it."""

    def destroy(capsule, pointer=_pointer, byref=byref, free=_free):  # at the interpreter's end the module may be empty already
        address = pointer(capsule, name)
        content = struct.from_address(address)
        if content.release:
            content.release(byref(content))
        free(address)

    destructor = _Destructor(destroy)

    def capsule(content):
        address = _allocate(ctypes.sizeof(struct))
        if not address:
            raise MemoryError
        ctypes.memmove(address, byref(content), ctypes.sizeof(struct))
        ctypes.memset(ctypes.addressof(content) + struct.release.offset, 0, struct.release.size)  # it is the capsule's now
        return _new(address, name, destructor)

    capsule.destructor = destructor
    return capsule


schema_capsule = _kind(ArrowSchema, b"arrow_schema")
array_capsule = _kind(ArrowArray, b"arrow_array")
stream_capsule = _kind(ArrowArrayStream, b"arrow_array_stream")


class _Owner:
    """Releases a structure that nobody took."""

    def __del__(self, byref=byref):
        content = self._content
        if content.release:
            content.release(byref(content))


class Schema(_Owner):
    """A schema of type struct, one child per column: `pyarrow.schema(schema)`. `fill` writes it into an ArrowSchema."""

    def __init__(self, fill):
        self._fill, self._content = fill, ArrowSchema()
        fill(self._content)

    def __arrow_c_schema__(self):
        copy = ArrowSchema()
        self._fill(copy)
        return schema_capsule(copy)

    def __len__(self):
        return self._content.n_children

    @property
    def names(self):
        """The name of each column."""
        return [self._content.children[i].contents.name.decode() for i in range(len(self))]

    @property
    def formats(self):
        """Arrow's format string of each column, for example "l" for int64."""
        return [self._content.children[i].contents.format.decode() for i in range(len(self))]


class Batch(_Owner):
    """A batch of at least one row: `pyarrow.record_batch(batch)`. Its buffers may outlive everything else. To be taken once."""

    def __init__(self, schema, content):
        self._schema, self._content, self._rows = schema, content, content.length

    def __len__(self):
        return self._rows

    def address(self, column, buffer=1):
        """Where a buffer of a column lies, for tests that nothing was copied; 0 if there is none, or the batch was taken."""
        if not self._content.release:
            return 0
        return self._content.children[column].contents.buffers[buffer] or 0

    def __arrow_c_array__(self, requested_schema=None):
        if not self._content.release:
            raise ValueError("this batch was taken already")
        return self._schema.__arrow_c_schema__(), array_capsule(self._content)


class Stream(_Owner):
    """Batches as an Arrow stream, to be taken once: `pyarrow.table(stream)`."""

    def __init__(self):
        self._content = ArrowArrayStream()

    def __arrow_c_stream__(self, requested_schema=None):
        if not self._content.release:
            raise ValueError("this stream was taken already")
        return stream_capsule(self._content)


def read_stream(function, *arguments):
    """The stream that a function writes."""
    stream = Stream()
    call(function, *arguments, byref(stream._content))
    return stream
