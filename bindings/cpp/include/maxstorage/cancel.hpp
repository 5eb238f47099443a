// Ends calls that have no handle of their own.
#ifndef MAXSTORAGE_CANCEL_HPP
#define MAXSTORAGE_CANCEL_HPP

#include <chrono>
#include <cstdint>

#include "deadline.hpp"
#include "reader.hpp"
#include "result.hpp"

namespace maxstorage {

class client;

/// Ends calls that plan, refresh or list, and reads that were added to it; one object may be given to all of a query. Any thread.
class canceller {
public:
    /// Ends nothing yet.
    canceller() noexcept : handle_(ms_cancel_new()) {}
    /// Every call that was given this object, those that will be, and every read that was added fail with MS_CANCELLED at once.
    void cancel() const noexcept { ms_cancel_now(handle_.get()); }
    /// Has a reader end with this object, at once if it was cancelled already.
    result<void> add(const split &reader) const noexcept { return detail::call(ms_cancel_add_split, get(), static_cast<const ms_split *>(reader.get())); }
    /// The same for a scan.
    result<void> add(const scan &reader) const noexcept { return detail::call(ms_cancel_add_scan, get(), static_cast<const ms_scan *>(reader.get())); }
    /// Readies this object for `cancel_from_signal`; the threads of `any` client listen to it.
    result<void> arm(const client &any) const noexcept;
    /// `cancel` for a signal handler: takes no lock and no memory, and leaves errno alone. Nothing happens before `arm`.
    void cancel_from_signal() const noexcept { ms_cancel_from_signal(get()); }
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
