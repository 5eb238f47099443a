"""The log of the library."""
from ._native import LogCallback, lib
from .errors import failure

_LEVELS = {"off": 0, "error": 1, "warn": 2, "info": 3, "debug": 4, "trace": 5}
_registered = None


def set_log(callback, level="info"):
    """`callback(level, target, message)` gets the records up to a level, from threads of the library; None ends it. It must not call
    the library."""
    global _registered
    native = LogCallback(lambda _, number, target, text: callback(number, target.decode(), text.decode())) if callback else LogCallback()
    status = lib.ms_set_log_callback(native, None, _LEVELS[level] if callback else 0)
    if status != 0:
        raise failure(status, None)
    _registered = native  # the former one is not running any more, and may go
