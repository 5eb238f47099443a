// One planned read of one table.
#ifndef MAXSTORAGE_SESSION_HPP
#define MAXSTORAGE_SESSION_HPP

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "cancel.hpp"
#include "deadline.hpp"
#include "options.hpp"
#include "reader.hpp"

namespace maxstorage {

/// What a split of a session covers; -1 and "" where it is not known.
class split_info {
public:
    /// Owns the handle of the C interface.
    using handle = detail::handle<ms_split_info, ms_split_info_free>;
    /// Takes over a handle of the C interface.
    explicit split_info(handle owned) noexcept : handle_(std::move(owned)) {}
    /// The number of rows.
    int64_t rows() const noexcept { return ms_split_info_rows(handle_.get()); }
    /// The first row, in a session that is cut by rows.
    int64_t start_row() const noexcept { return ms_split_info_start_row(handle_.get()); }
    /// Stored bytes, as the service estimates them.
    int64_t estimated_bytes() const noexcept { return ms_split_info_estimated_bytes(handle_.get()); }
    /// The partition, "key=value/key=value"; borrowed from this object.
    const char *partition() const noexcept { return ms_split_info_partition(handle_.get()); }
    /// The bucket of a clustered table.
    int64_t bucket() const noexcept { return ms_split_info_bucket(handle_.get()); }
    /// The share of the whole read, from 0 to 1.
    double weight() const noexcept { return ms_split_info_weight(handle_.get()); }

private:
    handle handle_;
};

/// How many splits of a session are known.
struct known_splits {
    int64_t count = 0;      ///< they are numbered from 0
    bool complete = false;  ///< whether there are no others
};

/// Columns, partitions, filter, snapshot, a list of splits. Never changes, but for the number of splits that are known; any thread may use it.
class session {
public:
    /// Owns the handle of the C interface.
    using handle = detail::handle<ms_session, ms_session_free>;
    /// Takes over a handle of the C interface.
    explicit session(handle owned) noexcept : handle_(std::move(owned)) {}

    /// The number of splits that are known: all, unless the session was opened with plan.wait=first.
    int64_t split_count() const noexcept { return ms_session_split_count(handle_.get()); }
    /// -1 if unknown.
    int64_t estimated_rows() const noexcept { return ms_session_estimated_rows(handle_.get()); }
    /// -1 if unknown.
    int64_t estimated_bytes() const noexcept { return ms_session_estimated_bytes(handle_.get()); }
    /// The end of the session's life at the service, in milliseconds since 1970; -1 if unknown.
    int64_t expires_at_ms() const noexcept { return ms_session_expires_at_ms(handle_.get()); }
    /// Waits until more than `known` splits are known, or the plan is complete: see ms_session_more_splits.
    ///@{
    result<known_splits> more_splits(int64_t known) const noexcept { return more_splits_until(known, 0, nullptr); }
    result<known_splits> more_splits(int64_t known, const canceller &cancel) const noexcept { return more_splits_until(known, 0, cancel.get()); }
    result<known_splits> more_splits_until(int64_t known, std::chrono::steady_clock::time_point time) const noexcept {
        return more_splits_until(known, detail::monotonic_ms(time), nullptr);
    }
    ///@}
    /// As `more_splits`, without waiting: nothing while no more are known.
    result<std::optional<known_splits>> try_more_splits(int64_t known) const noexcept {
        known_splits out;
        ms_error *failure = nullptr;
        const ms_status status = ms_session_try_more_splits(handle_.get(), known, &out.count, &out.complete, &failure);
        if (status == MS_PENDING) return std::optional<known_splits>();
        if (status != MS_OK) return error(status, failure);
        return std::optional<known_splits>(out);
    }

    /// Prolongs the session's life. Blocks until the service has answered.
    ///@{
    result<void> refresh() const noexcept { return refresh_until(nullptr); }
    result<void> refresh(const canceller &cancel) const noexcept { return refresh_until(cancel.get()); }
    ///@}

    /// The schema of every batch.
    result<maxstorage::schema> schema() const noexcept {
        maxstorage::schema out;
        if (auto done = detail::call(ms_session_schema, handle_.get(), out.out()); !done) return done.error();
        return out;
    }

    /// The session as bytes without credentials, for client::attach on another machine or in another language.
    result<std::string> serialize() const { return bytes(ms_session_serialize); }

    /// The same as a JSON object, which may be laid out anew on its way; docs/reading.md has its keys.
    result<std::string> serialize_json() const { return bytes(ms_session_serialize_json); }

    /// One split, also while others are planned, as `serialize` or `serialize_json` write: what client::attach makes of it has it under its number.
    result<std::string> serialize_split(int64_t index, bool as_json = false) const {
        const auto write = [&](const ms_session *from, ms_bytes **out, ms_error **failure) { return ms_session_serialize_split(from, index, as_json, out, failure); };
        return bytes(write);
    }

    /// How the read was planned, as JSON; docs/explain.md has the keys.
    result<std::string> explain() const { return bytes(ms_session_explain); }
    /// What all reads of the session have cost so far, freed ones included. Any thread.
    result<maxstorage::metrics> metrics() const noexcept {
        auto made = detail::make<maxstorage::metrics::handle>(ms_session_metrics, static_cast<const ms_session *>(handle_.get()));
        if (!made) return made.error();
        return maxstorage::metrics(std::move(*made));
    }
    /// What a split covers.
    result<maxstorage::split_info> split_info(int64_t index) const noexcept {
        auto made = detail::make<maxstorage::split_info::handle>(ms_session_split_info, static_cast<const ms_session *>(handle_.get()), index);
        if (!made) return made.error();
        return maxstorage::split_info(std::move(*made));
    }

    /// Starts to read a split; returns at once. Without options the defaults hold.
    ///@{
    result<split> open_split(int64_t index) const noexcept { return open_split_with(index, nullptr); }
    result<split> open_split(int64_t index, const options &read) const noexcept {
        if (auto set = read.check(); !set) return set.error();
        return open_split_with(index, read.get());
    }
    ///@}
    /// Starts to read all splits; returns at once.
    ///@{
    result<scan> open_scan() const noexcept { return open_scan_with(nullptr); }
    result<scan> open_scan(const options &read) const noexcept {
        if (auto set = read.check(); !set) return set.error();
        return open_scan_with(read.get());
    }
    ///@}
    /// For calls of the C interface; stays this object's.
    ms_session *get() const noexcept { return handle_.get(); }

private:
    result<known_splits> more_splits_until(int64_t known, int64_t monotonic_deadline_ms, const ms_cancel *cancel) const noexcept {
        known_splits out;
        if (auto done = detail::call(ms_session_more_splits, static_cast<const ms_session *>(handle_.get()), known, monotonic_deadline_ms, cancel, &out.count, &out.complete); !done)
            return done.error();
        return out;
    }
    result<void> refresh_until(const ms_cancel *cancel) const noexcept {
        return detail::call(ms_session_refresh_cancellable, static_cast<const ms_session *>(handle_.get()), cancel);
    }
    template <class Function>
    result<std::string> bytes(Function function) const {
        auto made = detail::make<detail::handle<ms_bytes, ms_bytes_free>>(function, static_cast<const ms_session *>(handle_.get()));
        if (!made) return made.error();
        return std::string(static_cast<const char *>(ms_bytes_data(made->get())), ms_bytes_len(made->get()));
    }
    result<split> open_split_with(int64_t index, const ms_options *read) const noexcept {
        auto made = detail::make<split::handle>(ms_split_open, handle_.get(), index, read);
        if (!made) return made.error();
        return split(std::move(*made));
    }
    result<scan> open_scan_with(const ms_options *read) const noexcept {
        auto made = detail::make<scan::handle>(ms_scan_open, handle_.get(), read);
        if (!made) return made.error();
        return scan(std::move(*made));
    }
    handle handle_;
};

}  // namespace maxstorage

#endif
