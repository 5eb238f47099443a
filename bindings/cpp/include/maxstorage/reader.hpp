// Open reads: a split for one thread, a scan for many.
#ifndef MAXSTORAGE_READER_HPP
#define MAXSTORAGE_READER_HPP

#include <chrono>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "arrow_types.hpp"
#include "deadline.hpp"
#include "metrics.hpp"
#include "predicate.hpp"
#include "result.hpp"

namespace maxstorage {

namespace detail {

/// The stream that a reader becomes. MS_BUSY, while another thread is inside a call, is the one failure that leaves the reader.
template <class Function, class Handle>
result<stream> used_up(Function function, Handle &reader) noexcept {
    stream out;
    const auto done = call(function, reader.get(), out.out());
    if (done.error().code() != MS_BUSY) static_cast<void>(reader.release());
    if (!done) return done.error();
    return out;
}

}  // namespace detail

/// The batches that are left, for a range-based `for`. Each element is a batch or the failure that ended the read, which comes last:
///
///     for (auto &next : split.batches()) { if (!next) return next.error(); use(*next); }
template <class Reader>
class batch_range {
public:
    /// The end.
    struct sentinel {};
    /// Takes a batch when it is made and with each step, for one thread.
    class iterator {
    public:
        ///@cond an input iterator, as the standard library has it
        using iterator_category = std::input_iterator_tag;
        using value_type = result<batch>;
        using difference_type = std::ptrdiff_t;
        using pointer = value_type *;
        using reference = value_type &;

        explicit iterator(Reader *reader) : reader_(reader) { ++*this; }
        reference operator*() noexcept { return *current_; }
        pointer operator->() noexcept { return &*current_; }
        iterator &operator++() {
            if (current_ && !*current_) {  // a failure stays: it is told once
                current_.reset();
                return *this;
            }
            result<std::optional<batch>> next = reader_->next();
            current_.reset();
            if (!next) {
                current_.emplace(next.error());
            } else if (*next) {
                current_.emplace(std::move(**next));
            }
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const iterator &self, sentinel) noexcept { return !self.current_; }
        friend bool operator!=(const iterator &self, sentinel) noexcept { return self.current_.has_value(); }

    ///@endcond
    private:
        Reader *reader_;
        std::optional<result<batch>> current_;
    };

    /// The reader must outlive the range.
    explicit batch_range(Reader *reader) noexcept : reader_(reader) {}
    /// Takes the first batch.
    iterator begin() { return iterator(reader_); }
    /// Behind the last batch.
    sentinel end() const noexcept { return {}; }

private:
    Reader *reader_;
};

/// What a read that must not block has to say.
enum class readiness {
    ready,    ///< a batch
    pending,  ///< nothing yet: wait for the waker or the descriptor
    end,      ///< no batch will come any more
};

/// An open reader over one split. One thread at a time; `cancel` may be called from any thread.
class split {
public:
    /// Owns the handle of the C interface.
    using handle = detail::handle<ms_split, ms_split_free>;
    /// Takes over a handle of the C interface.
    explicit split(handle owned) noexcept : handle_(std::move(owned)) {}

    /// The next batch, nothing at the end of the data. Blocks until it is there, the deadline passes, or somebody cancels.
    result<std::optional<batch>> next() noexcept {
        batch array;
        if (auto done = detail::call(ms_split_next_batch, handle_.get(), array.out()); !done) return done.error();
        if (!array) return std::optional<batch>();
        return std::optional<batch>(std::move(array));
    }

    /// As `next`, without blocking; `out` receives the batch if the answer is `ready`.
    result<readiness> try_next(batch &out) noexcept {
        ms_error *failure = nullptr;
        const ms_status status = ms_split_try_next_batch(handle_.get(), out.out(), &failure);
        if (status == MS_PENDING) return readiness::pending;
        if (status != MS_OK) return error(status, failure);
        return out ? readiness::ready : readiness::end;
    }

    /// The batches that are left; see batch_range.
    batch_range<split> batches() noexcept { return batch_range<split>(this); }

    /// `wake` is called whenever try_next, after it was pending, has an answer; NULL unregisters. See ms_split_set_waker for the rules.
    result<void> set_waker(ms_wake_callback wake, void *context) noexcept {
        return detail::call(ms_split_set_waker, handle_.get(), wake, context);
    }
    /// Readable while try_next has an answer; belongs to the split. -1 if the process has no descriptor left.
    int ready_fd() const noexcept { return ms_split_ready_fd(handle_.get()); }
    /// Until when `next` waits; a time that passes fails that call with MS_DEADLINE_EXCEEDED, and a later one may succeed.
    result<void> set_deadline(std::chrono::steady_clock::time_point time) noexcept {
        return detail::call(ms_split_set_deadline_ms, handle_.get(), detail::monotonic_ms(time));
    }
    /// `next` waits as long as it takes.
    result<void> clear_deadline() noexcept { return detail::call(ms_split_set_deadline_ms, handle_.get(), int64_t{0}); }
    /// How large the batches of later calls are at most; 0 for what the read options say. Larger ones are cut without copying. Any thread.
    result<void> set_batch_limits(int64_t max_rows, int64_t max_bytes = 0) noexcept {
        return detail::call(ms_split_set_batch_limits, handle_.get(), max_rows, max_bytes);
    }

    /// The schema of every batch.
    result<maxstorage::schema> schema() const noexcept {
        maxstorage::schema out;
        if (auto done = detail::call(ms_split_schema, handle_.get(), out.out()); !done) return done.error();
        return out;
    }
    /// Keeps further rows out: those of batches that were not taken yet must match this filter too.
    result<void> add_filter(const predicate &filter) noexcept {
        if (auto built = filter.check(); !built) return built.error();
        return detail::call(ms_split_add_filter, handle_.get(), filter.get());
    }
    /// Rows handed out so far: where a later read would go on.
    int64_t rows_delivered() const noexcept { return ms_split_rows_delivered(handle_.get()); }
    /// From 0 to 1; -1 if it is not known.
    double progress() const noexcept { return ms_split_progress(handle_.get()); }
    /// Whether all requests of the read are out, so that it is time to open the next one. Any thread.
    bool all_requested() const noexcept { return ms_split_all_requested(handle_.get()); }
    /// What the read has cost so far. Any thread.
    result<maxstorage::metrics> metrics() const noexcept {
        auto made = detail::make<maxstorage::metrics::handle>(ms_split_metrics, handle_.get());
        if (!made) return made.error();
        return maxstorage::metrics(std::move(*made));
    }
    /// Ends the read for good, from any thread: a blocked `next` wakes at once with MS_CANCELLED.
    void cancel() const noexcept { ms_split_cancel(handle_.get()); }

    /// Turns the reader into an Arrow stream, for Arrow C++, DuckDB, pyarrow and the like. The reader is used up.
    result<stream> into_stream() && noexcept {
        return detail::used_up(ms_split_export_stream, handle_);
    }
    /// For calls of the C interface.
    ms_split *get() const noexcept { return handle_.get(); }

private:
    handle handle_;
};

/// A batch and the split it belongs to.
struct scan_batch {
    /// The rows.
    batch rows;
    /// The number of the split; -1 without rows.
    int64_t split;
};

/// All splits of a session as one reader, for any number of threads.
class scan {
public:
    /// Owns the handle of the C interface.
    using handle = detail::handle<ms_scan, ms_scan_free>;
    /// Takes over a handle of the C interface.
    explicit scan(handle owned) noexcept : handle_(std::move(owned)) {}

    /// The next batch of any split, nothing at the end. Any thread, several at once; each batch goes to one of them.
    result<std::optional<scan_batch>> next_with_split() const noexcept {
        scan_batch out{{}, -1};
        return taken(detail::call(ms_scan_next_batch, handle_.get(), out.rows.out(), &out.split), out);
    }
    /// As `next_with_split`, until `time`: MS_DEADLINE_EXCEEDED fails this call alone, and the scan goes on.
    result<std::optional<scan_batch>> next_with_split_until(std::chrono::steady_clock::time_point time) const noexcept {
        scan_batch out{{}, -1};
        return taken(detail::call(ms_scan_next_batch_until, handle_.get(), detail::monotonic_ms(time), out.rows.out(), &out.split), out);
    }
    /// As `next_with_split`, without the number of the split.
    result<std::optional<batch>> next() const noexcept { return rows_of(next_with_split()); }
    /// As `next`, until `time`: MS_DEADLINE_EXCEEDED fails this call alone, and the scan goes on.
    result<std::optional<batch>> next_until(std::chrono::steady_clock::time_point time) const noexcept {
        return rows_of(next_with_split_until(time));
    }
    /// As `next`, without blocking; `out` receives the batch if the answer is `ready`.
    result<readiness> try_next(scan_batch &out) const noexcept {
        ms_error *failure = nullptr;
        out.split = -1;
        const ms_status status = ms_scan_try_next_batch(handle_.get(), out.rows.out(), &out.split, &failure);
        if (status == MS_PENDING) return readiness::pending;
        if (status != MS_OK) return error(status, failure);
        return out.rows ? readiness::ready : readiness::end;
    }
    /// As split::set_waker. One call may stand for several batches: take until try_next is pending.
    result<void> set_waker(ms_wake_callback wake, void *context) const noexcept {
        return detail::call(ms_scan_set_waker, handle_.get(), wake, context);
    }
    /// As split::ready_fd; belongs to the scan.
    int ready_fd() const noexcept { return ms_scan_ready_fd(handle_.get()); }
    /// As split::set_batch_limits, for all threads.
    result<void> set_batch_limits(int64_t max_rows, int64_t max_bytes = 0) const noexcept {
        return detail::call(ms_scan_set_batch_limits, handle_.get(), max_rows, max_bytes);
    }
    /// Keeps further rows out, as split::add_filter.
    result<void> add_filter(const predicate &filter) const noexcept {
        if (auto built = filter.check(); !built) return built.error();
        return detail::call(ms_scan_add_filter, handle_.get(), filter.get());
    }
    /// The batches that are left; see batch_range. One range per thread.
    batch_range<const scan> batches() const noexcept { return batch_range<const scan>(this); }

    /// The schema of every batch.
    result<maxstorage::schema> schema() const noexcept {
        maxstorage::schema out;
        if (auto done = detail::call(ms_scan_schema, handle_.get(), out.out()); !done) return done.error();
        return out;
    }
    /// From 0 to 1.
    double progress() const noexcept { return ms_scan_progress(handle_.get()); }
    /// Whether all requests of the scan are out, so that it is time to open the next read. Any thread.
    bool all_requested() const noexcept { return ms_scan_all_requested(handle_.get()); }
    /// What the scan has cost so far. Any thread.
    result<maxstorage::metrics> metrics() const noexcept {
        auto made = detail::make<maxstorage::metrics::handle>(ms_scan_metrics, handle_.get());
        if (!made) return made.error();
        return maxstorage::metrics(std::move(*made));
    }
    /// Ends the scan for good, from any thread: every blocked `next` wakes at once with MS_CANCELLED.
    void cancel() const noexcept { ms_scan_cancel(handle_.get()); }

    /// Turns the scan into an Arrow stream. The scan is used up.
    result<stream> into_stream() && noexcept {
        return detail::used_up(ms_scan_export_stream, handle_);
    }
    /// Hands the scan to a handler of the Arrow C device interface, whose functions are called with its batches as it asks for them
    /// (docs/reading.md); the handler stays where it is until it is released. The scan is used up.
    result<void> export_async(ArrowAsyncDeviceStreamHandler *handler) && noexcept {
        return detail::call(ms_scan_export_async, handle_.release(), handler);
    }
    /// For calls of the C interface; stays this object's.
    ms_scan *get() const noexcept { return handle_.get(); }

private:
    static result<std::optional<scan_batch>> taken(result<void> &&done, scan_batch &out) noexcept {
        if (!done) return done.error();
        if (!out.rows) return std::optional<scan_batch>();
        return std::optional<scan_batch>(std::move(out));
    }
    static result<std::optional<batch>> rows_of(result<std::optional<scan_batch>> &&taken) noexcept {
        if (!taken) return taken.error();
        if (!*taken) return std::optional<batch>();
        return std::optional<batch>(std::move((*taken)->rows));
    }

    handle handle_;
};

}  // namespace maxstorage

#endif
