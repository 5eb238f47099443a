// Ends calls that have no handle of their own.
#ifndef MAXSTORAGE_CANCEL_HPP
#define MAXSTORAGE_CANCEL_HPP

#include <chrono>
#include <cstdint>

#include "deadline.hpp"
#include "result.hpp"

namespace maxstorage {

/// Ends calls that plan, refresh or list; one object may be given to several of them. Any thread.
class canceller {
public:
    /// Ends nothing yet.
    canceller() noexcept : handle_(ms_cancel_new()) {}
    /// Every call that was given this object, and those that will be, fail with MS_CANCELLED at once.
    void cancel() const noexcept { ms_cancel_now(handle_.get()); }
    /// Until when those calls may take: then they fail with MS_DEADLINE_EXCEEDED.
    result<void> set_deadline(std::chrono::steady_clock::time_point time) const noexcept {
        return detail::call(ms_cancel_set_deadline_ms, get(), detail::monotonic_ms(time));
    }
    /// They may take as long as they take.
    result<void> clear_deadline() const noexcept { return detail::call(ms_cancel_set_deadline_ms, get(), int64_t{0}); }
    /// For calls of the C interface; stays this object's.
    const ms_cancel *get() const noexcept { return handle_.get(); }

private:
    detail::handle<ms_cancel, ms_cancel_free> handle_;
};

}  // namespace maxstorage

#endif
