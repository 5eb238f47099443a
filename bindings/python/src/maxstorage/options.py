"""Keys and values for clients, sessions and reads; docs/options.md lists them."""
import itertools
import json
import traceback
import typing

from ._native import CredentialsProvider, MemoryRelease, MemoryReserve, ReadEndCallback, ReleaseCallback, RetryHook, SpanCallback, ThreadHook, lib
from .arrow import read_stream
from .errors import UNAVAILABLE, call, failure

# Functions that the library may call, by the number that is their context.
_providers, _numbers = {}, itertools.count(1)
_forget = ReleaseCallback(lambda number: _providers.pop(number, None))
_hooks = []  # the library does not say when it is done with them

# Keys whose names are no Python names, as keyword arguments write them.
_LISTS = {"columns", "partition_columns", "partitions", "bucket_ids", "types.dictionary"}


def _text(value):
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return str(value).encode()


def figures_of(metrics):
    """The figures of ms_metrics by name."""
    names = (lib.ms_metrics_name(metrics, i).decode() for i in range(lib.ms_metrics_count(metrics)))
    return {name: lib.ms_metrics_value(metrics, i) for i, name in enumerate(names)}


class BearerToken(typing.NamedTuple):
    """What a provider of credentials returns in place of an AccessKey."""

    token: str
    """The token."""
    expiry: typing.Optional[int] = None
    """When it ends, in milliseconds since 1970."""


class Options:
    """Owns `ms_options`. Keyword arguments are keys, with two underscores for a dot: `read__compression="lz4"`."""

    def __init__(self, keys=None, **more):
        self._handle = lib.ms_options_new()
        self.update(keys, **more)

    def update(self, keys=None, **more):
        """Sets keys; a sequence adds to a key that holds a list, None leaves a key alone."""
        for key, value in [*(keys or {}).items(), *((key.replace("__", "."), value) for key, value in more.items())]:
            if value is None:
                continue
            if key in _LISTS and not isinstance(value, (str, bytes)):
                for item in value:
                    call(lib.ms_options_add, self._handle, key.encode(), _text(item))
            else:
                call(lib.ms_options_set, self._handle, key.encode(), _text(value))
        return self

    def set_credentials_provider(self, provide):
        """`provide()` returns an AccessKey as (id, secret), (id, secret, token) or (id, secret, token, expiry in ms since 1970), or a
        BearerToken. It is called from a thread of the library, and must not call the library."""

        def answer(_, out):
            try:
                found = provide()
                if isinstance(found, BearerToken):
                    expiry = found.expiry
                    call(lib.ms_credentials_set_bearer_token, out, found.token.encode())
                else:
                    key, secret, token, expiry = (*found, None, None)[:4]
                    call(lib.ms_credentials_set_access_key, out, key.encode(), secret.encode(), token.encode() if token else None)
                if expiry is not None:
                    call(lib.ms_credentials_set_expiry_ms, out, expiry)
                return 0
            except Exception as raised:  # may not go on into the library; its text may hold a secret, its class does not
                call(lib.ms_credentials_set_error, out, f"the provider raised {type(raised).__name__}".encode())
                return UNAVAILABLE

        number = next(_numbers)
        _providers[number] = CredentialsProvider(answer)
        call(lib.ms_options_set_credentials_provider, self._handle, _providers[number], number, _forget)
        return self

    def set_memory_hooks(self, reserve, release):
        """Has the host account for the memory that rows lie in: `reserve(bytes)` is asked before an allocation, and anything false is a
        refusal, which holds readers back; `release(bytes)` is told when the memory is free again. For clients that are made with these
        options. Both are called from any thread, must return soon and must not call the library; they are kept until the program ends.
        docs/memory.md tells what a refusal does."""
        hooks = MemoryReserve(lambda _, size: bool(reserve(size))), MemoryRelease(lambda _, size: release(size))
        call(lib.ms_options_set_memory_hooks, self._handle, *hooks, None)
        _hooks.append(hooks)
        return self

    def set_retry_hook(self, decide):
        """Has `decide(error, elapsed, planned)` called after each request that failed and would be made again: with the exception that the failure
        would be, and two times in seconds. It returns the seconds to wait before the next attempt, or None for no further one; what it raises
        is printed and counts as None. For clients that are made with these options. It is called from threads of the library, must return soon
        and must not call the library; it is kept until the program ends."""

        def answer(_, error, elapsed, planned):
            try:
                delay = decide(failure(lib.ms_error_code(error), error), elapsed / 1000, planned / 1000)
                return -1 if delay is None else max(0, min(int(delay * 1000), (1 << 63) - 1))
            except Exception:  # may not go on into the library
                traceback.print_exc()
                return -1

        hook = RetryHook(answer)
        call(lib.ms_options_set_retry_hook, self._handle, hook, None)
        _hooks.append(hook)
        return self

    def set_read_end(self, tell):
        """`tell(split, outcome, metrics)` is called once for each Split and Scan that is opened with these options, when it is closed or its stream
        released: the number of the split or None for a scan; "MS_OK" if all was read, "MS_CANCELLED" if it ended before, or the name of its
        failure; and the final figures by name. It must return soon and must not call the library; it is kept until the program ends."""

        def told(_, split, outcome, metrics):
            tell(None if split < 0 else split, lib.ms_status_name(outcome).decode(), figures_of(metrics))

        callback = ReadEndCallback(told)
        call(lib.ms_options_set_read_end_callback, self._handle, callback, None)
        _hooks.append(callback)
        return self

    def set_span(self, tell):
        """`tell(span)` is called for each request to the service when it is over, with a dict whose keys docs/tracing.md has; its parent is
        that of the option trace.parent. It is called from any thread, must return soon and must not call the library; it is kept until the
        program ends."""
        callback = SpanCallback(lambda _, span: tell(json.loads(lib.ms_span_json(span))))
        call(lib.ms_options_set_span_callback, self._handle, callback, None)
        _hooks.append(callback)
        return self

    def set_thread_hooks(self, on_start, on_stop):
        """Has every thread of the library call `on_start()` before it does anything else and `on_stop()` when it is about to end, for example to
        set its affinity (`os.sched_setaffinity(0, ...)`). The first client of a process decides. Both must return soon and must not call the
        library; they are kept until the program ends."""
        hooks = ThreadHook(lambda _: on_start()), ThreadHook(lambda _: on_stop())
        call(lib.ms_options_set_thread_hooks, self._handle, *hooks, None)
        _hooks.append(hooks)
        return self

    def describe(self):
        """Every option of this version with its type, range, default and text, and the value that is set here: a Stream of one batch."""
        return read_stream(lib.ms_options_describe, self._handle)

    def load_environment(self):
        """Reads the variables of the MaxCompute SDKs for keys that are not set."""
        call(lib.ms_options_load_environment, self._handle)
        return self

    def copy(self):
        """An independent copy."""
        copy = Options.__new__(Options)
        copy._handle = lib.ms_options_clone(self._handle)
        return copy

    def __del__(self, free=lib.ms_options_free):
        free(self.__dict__.pop("_handle", None))
