// A blocking reader that fills one chunk at a time, as scanners of StarRocks and Doris are shaped.
#ifndef MAXSTORAGE_ADAPTERS_CHUNK_READER_HPP
#define MAXSTORAGE_ADAPTERS_CHUNK_READER_HPP

#include <cstdint>
#include <optional>
#include <utility>

#include "../session.hpp"
#include "slice.hpp"

namespace maxstorage {

/// One split in chunks of at most so many rows. `open`, then `get_next` until it says `false`; `cancel` from any thread once it is open.
class chunk_reader {
public:
    /// For a split of a plan, which must live until `open`.
    chunk_reader(const session &plan, int64_t index, int64_t chunk_rows) noexcept : plan_(&plan), index_(index), chunk_rows_(chunk_rows) {}

    /// Starts to fetch. The session is not needed afterwards.
    result<void> open(const options &read) {
        auto made = plan_->open_split(index_, read);
        if (!made) return made.error();
        reader_.emplace(std::move(*made));
        return {};
    }

    /// The next chunk: true and 1 to chunk_rows rows, or false at the end of the data.
    result<bool> get_next(batch &chunk) {
        chunk.reset();
        if (!reader_) return false;
        if (rest_.empty()) {
            auto taken = reader_->next();
            if (!taken) return taken.error();
            if (!*taken) return false;
            rest_.put(std::move(**taken));
        }
        chunk = rest_.take(chunk_rows_);
        return true;
    }

    /// Ends the read for good: a `get_next` that blocks wakes at once with MS_CANCELLED. Any thread, but not beside `open` and `close`.
    void cancel() const noexcept {
        if (reader_) reader_->cancel();
    }
    /// Frees the split and what is left of its batch.
    void close() noexcept {
        rest_ = slicer();
        reader_.reset();
    }
    /// For counters of the engine's profile.
    result<maxstorage::metrics> metrics() const noexcept {
        if (!reader_) return error(MS_WRONG_STATE, nullptr);
        return reader_->metrics();
    }

private:
    const session *plan_;
    int64_t index_, chunk_rows_;
    std::optional<split> reader_;
    slicer rest_;
};

}  // namespace maxstorage

#endif
