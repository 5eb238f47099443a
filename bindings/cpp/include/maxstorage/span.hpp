// A request to the service as a part of a trace.
#ifndef MAXSTORAGE_SPAN_HPP
#define MAXSTORAGE_SPAN_HPP

#include <cstdint>

#include "maxstorage.h"

namespace maxstorage {

/// What is known of a request that is over; exists during the callback only. docs/tracing.md has the names.
class span {
public:
    /// Wraps what a callback was given.
    explicit span(const ms_span *given) noexcept : given_(given) {}

    /// A text, for example of "trace_id"; "" if there is none.
    const char *text(const char *name) const noexcept { return ms_span_text(given_, name); }
    /// A number, for example of "start_unix_ns"; -1 if there is none.
    int64_t number(const char *name) const noexcept { return ms_span_number(given_, name); }
    /// All of it as a JSON object.
    const char *json() const noexcept { return ms_span_json(given_); }

private:
    const ms_span *given_;
};

}  // namespace maxstorage

#endif
