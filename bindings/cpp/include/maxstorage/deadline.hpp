// Times as the library reads them.
#ifndef MAXSTORAGE_DEADLINE_HPP
#define MAXSTORAGE_DEADLINE_HPP

#include <chrono>
#include <cstdint>

namespace maxstorage::detail {

/// A time for a call that takes 0 for none.
inline int64_t monotonic_ms(std::chrono::steady_clock::time_point time) noexcept {
    const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
    return since > 0 ? static_cast<int64_t>(since) : 1;
}

}  // namespace maxstorage::detail

#endif
