// A reader of the shape `next(size, future)`, as data sources of Velox have it: an answer at once, or a future to wait for.
#ifndef MAXSTORAGE_ADAPTERS_DATA_SOURCE_HPP
#define MAXSTORAGE_ADAPTERS_DATA_SOURCE_HPP

#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "../reader.hpp"
#include "slice.hpp"

namespace maxstorage {

/// One split as a data source. `Promise` is what the engine's future comes from; it needs a default constructor and set_value().
template <class Promise>
class basic_data_source {
public:
    /// What a driver's call ends with.
    struct answer {
        bool blocked = false;  ///< nothing yet: the future that was handed out becomes ready when it is worth asking again
        batch rows;            ///< empty while blocked, and at the end of the data
        /// The data is at its end.
        bool finished() const noexcept { return !blocked && !rows; }
    };

    /// Takes over a split.
    static result<basic_data_source> make(split reader) {
        auto gate = std::make_unique<waiter>();
        if (auto set = reader.set_waker(waiter::wake, gate.get()); !set) return set.error();
        return basic_data_source(std::move(gate), std::move(reader));
    }

    /// The other object may only be assigned to or destroyed afterwards.
    ///@{
    basic_data_source(basic_data_source &&) noexcept = default;
    basic_data_source &operator=(basic_data_source &&other) noexcept {
        reader_ = std::move(other.reader_);  // ahead of the waiter that its split may wake
        waiter_ = std::move(other.waiter_);
        rest_ = std::move(other.rest_);
        return *this;
    }
    ///@}

    /// At most `size` rows. If the answer is blocked, `future` was assigned what the promise gave. Never blocks; one thread
    /// at a time, any thread.
    template <class Future>
    result<answer> next(int64_t size, Future &future) {
        answer out;
        if (rest_.empty()) {
            // The promise stands before the question, so that no wake is lost between the two.
            future = waiter_->arm();
            batch whole;
            auto said = reader_.try_next(whole);
            if (!said) return said.error();
            out.blocked = *said == readiness::pending;
            if (out.blocked) return out;
            if (*said == readiness::end) return out;
            rest_.put(std::move(whole));
        }
        out.rows = rest_.take(size);
        return out;
    }

    /// From any thread.
    void cancel() const noexcept { reader_.cancel(); }
    /// The split, for its schema, metrics and progress; borrowed from this object.
    const split &reader() const noexcept { return reader_; }

private:
    struct waiter {
        static void wake(void *context) {
            auto *self = static_cast<waiter *>(context);
            std::optional<Promise> waiting;
            {
                const std::lock_guard lock(self->mutex);
                waiting.swap(self->promise);
            }
            if (waiting) waiting->set_value();
        }
        auto arm() {
            const std::lock_guard lock(mutex);
            promise.emplace();
            return promise->get_future();
        }
        std::mutex mutex;
        std::optional<Promise> promise;
    };

    basic_data_source(std::unique_ptr<waiter> gate, split reader) noexcept : waiter_(std::move(gate)), reader_(std::move(reader)) {}
    std::unique_ptr<waiter> waiter_;
    split reader_;  // behind the waiter: it is freed first, and waits for a running wake
    slicer rest_;
};

/// A data source whose futures are those of the standard library.
using data_source = basic_data_source<std::promise<void>>;

}  // namespace maxstorage

#endif
