// Settings of clients, sessions and reads.
#ifndef MAXSTORAGE_OPTIONS_HPP
#define MAXSTORAGE_OPTIONS_HPP

#include <chrono>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "arrow_types.hpp"
#include "credentials.hpp"
#include "result.hpp"
#include "span.hpp"

namespace maxstorage {

/// How rows are compressed on the wire.
enum class compression { none, lz4, zstd };

/// Keys and values; docs/options.md lists them all, and MS_OPT_... has the keys. One object may serve a client, a session and a
/// split: each call reads its own keys, and copies them. Setters return the object, so that they can be written one after the other;
/// the first one that fails is kept, and whatever is opened with these options fails with it.
///
///     auto client = client::open(options().endpoint(url).credentials(id, secret).project("p"));
class options {
public:
    /// All defaults.
    options() noexcept : handle_(ms_options_new()) {}
    /// The other object may only be assigned to or destroyed afterwards.
    ///@{
    options(options &&) noexcept = default;
    options &operator=(options &&) noexcept = default;
    ///@}

    /// An independent copy.
    options clone() const {
        options copy{handle(ms_options_clone(handle_.get()))};
        copy.failure_ = failure_;
        return copy;
    }

    /// Sets a key; an empty text puts it back to its default. Durations are written in milliseconds.
    ///@{
    options &set(std::string_view key, std::string_view value) { return keep(ms_options_set, key, value); }
    options &set(std::string_view key, const char *value) { return set(key, std::string_view(value)); }
    options &set(std::string_view key, const std::string &value) { return set(key, std::string_view(value)); }
    options &set(std::string_view key, bool value) { return set(key, std::string_view(value ? "true" : "false")); }
    options &set(std::string_view key, int value) { return set(key, static_cast<int64_t>(value)); }
    options &set(std::string_view key, int64_t value) { return set(key, std::string_view(std::to_string(value))); }
    options &set(std::string_view key, std::chrono::milliseconds value) { return set(key, static_cast<int64_t>(value.count())); }
    ///@}
    /// Adds to a key that holds a list.
    options &add(std::string_view key, std::string_view value) { return keep(ms_options_add, key, value); }
    /// Reads the environment variables of the MaxCompute SDKs. No other thread may change the environment meanwhile.
    options &load_environment() { return keep(detail::call(ms_options_load_environment, handle_.get())); }

    /// Has a function supply the credentials: it fills them in, and returns what that returned, or a failure. It is called from a thread of the
    /// library, must neither throw nor call the library, and is kept until no client uses it.
    options &credentials_provider(std::function<result<void>(maxstorage::credentials)> provide) {
        using function = std::function<result<void>(maxstorage::credentials)>;
        auto *context = new function(std::move(provide));
        const auto call = [](void *held, ms_credentials *out) -> ms_status {
            return (*static_cast<function *>(held))(maxstorage::credentials(out)).error().code();
        };
        const auto release = [](void *held) { delete static_cast<function *>(held); };
        return keep(detail::call(ms_options_set_credentials_provider, handle_.get(), static_cast<ms_credentials_provider>(call),
                                 static_cast<void *>(context), static_cast<ms_release_callback>(release)));
    }
    /// Has the host account for the memory that rows lie in; see ms_options_set_memory_hooks.
    options &memory_hooks(ms_memory_reserve reserve, ms_memory_release release, void *context) {
        return keep(detail::call(ms_options_set_memory_hooks, handle_.get(), reserve, release, context));
    }
    /// Has the host provide the memory that rows are received in; see ms_options_set_allocator.
    options &allocator(ms_allocate allocate, ms_deallocate deallocate, void *context) {
        return keep(detail::call(ms_options_set_allocator, handle_.get(), allocate, deallocate, context));
    }
    /// Has every thread of the library call functions of the host at its start and at its end; see ms_options_set_thread_hooks.
    options &thread_hooks(ms_thread_hook on_start, ms_thread_hook on_stop, void *context) {
        return keep(detail::call(ms_options_set_thread_hooks, handle_.get(), on_start, on_stop, context));
    }
    /// Has the host decide about each further attempt of a request; see ms_options_set_retry_hook.
    options &retry_hook(ms_retry_hook hook, void *context) { return keep(detail::call(ms_options_set_retry_hook, handle_.get(), hook, context)); }
    /// Has the host told of the end of each read, with its figures; see ms_options_set_read_end_callback.
    options &read_end_callback(ms_read_end_callback callback, void *context) {
        return keep(detail::call(ms_options_set_read_end_callback, handle_.get(), callback, context));
    }
    /// Has the host told of each request when it is over; see ms_options_set_span_callback, and span for what it is given.
    options &span_callback(ms_span_callback callback, void *context) {
        return keep(detail::call(ms_options_set_span_callback, handle_.get(), callback, context));
    }

    // Shorter ways to write what nearly everybody sets.
    /// The service endpoint, with scheme and path.
    options &endpoint(std::string_view url) { return set(MS_OPT_ENDPOINT, url); }
    /// An AccessKey; with a security token a temporary one.
    ///@{
    options &credentials(std::string_view id, std::string_view secret) {
        return set(MS_OPT_ACCESS_KEY_ID, id).set(MS_OPT_ACCESS_KEY_SECRET, secret);
    }
    options &credentials(std::string_view id, std::string_view secret, std::string_view token) {
        return credentials(id, secret).set(MS_OPT_SECURITY_TOKEN, token);
    }
    ///@}
    /// The default project.
    options &project(std::string_view name) { return set(MS_OPT_PROJECT, name); }
    /// The quota to read with.
    options &quota(std::string_view name) { return set(MS_OPT_QUOTA, name); }
    /// The table to read.
    options &table(std::string_view name) { return set(MS_OPT_TABLE, name); }
    /// Adds data columns to read: a list in braces, or any range of texts.
    ///@{
    options &columns(std::initializer_list<std::string_view> names) { return add_all(MS_OPT_COLUMNS, names); }
    template <class Names> options &columns(const Names &names) { return add_all(MS_OPT_COLUMNS, names); }
    ///@}
    /// Adds partitions to read, each "key=value/key=value": a list in braces, or any range of texts.
    ///@{
    options &partitions(std::initializer_list<std::string_view> specs) { return add_all(MS_OPT_PARTITIONS, specs); }
    template <class Specs> options &partitions(const Specs &specs) { return add_all(MS_OPT_PARTITIONS, specs); }
    ///@}
    /// Cuts the table by stored bytes.
    options &split_by_size(int64_t bytes) { return set(MS_OPT_SPLIT_MODE, "size").set(MS_OPT_SPLIT_SIZE_BYTES, bytes); }
    /// Cuts the table into about so many splits.
    options &split_by_count(int64_t count) { return set(MS_OPT_SPLIT_MODE, "parallelism").set(MS_OPT_SPLIT_PARALLELISM, count); }
    /// Cuts the table into splits of so many rows.
    options &split_by_rows(int64_t rows) { return set(MS_OPT_SPLIT_MODE, "row_offset").set(MS_OPT_SPLIT_ROWS, rows); }
    /// Makes a split of each bucket of a clustered table.
    options &split_by_bucket() { return set(MS_OPT_SPLIT_MODE, "bucket"); }
    /// How rows are compressed on the wire.
    options &compress(compression kind) {
        return set(MS_OPT_READ_COMPRESSION, kind == compression::lz4 ? "lz4" : kind == compression::zstd ? "zstd" : "none");
    }

    /// The first failure of a setter.
    result<void> check() const {
        if (failure_) return failure_;
        return {};
    }
    /// Every option of this version with its type, range, default and text, and the value that is set here: a stream of one batch.
    result<stream> describe() const noexcept {
        stream out;
        if (auto done = detail::call(ms_options_describe, static_cast<const ms_options *>(handle_.get()), out.out()); !done) return done.error();
        return out;
    }
    /// For calls of the C interface.
    ///@{
    const ms_options *get() const noexcept { return handle_.get(); }
    ms_options *get() noexcept { return handle_.get(); }
    ///@}

private:
    using handle = detail::handle<ms_options, ms_options_free>;
    explicit options(handle owned) noexcept : handle_(std::move(owned)) {}

    template <class Setter>
    options &keep(Setter setter, std::string_view key, std::string_view value) {
        return keep(detail::call(setter, handle_.get(), std::string(key).c_str(), std::string(value).c_str()));
    }
    options &keep(const result<void> &done) {
        if (!failure_) failure_ = done.error();
        return *this;
    }
    template <class Values>
    options &add_all(std::string_view key, const Values &values) {
        for (const std::string_view value : values) add(key, value);
        return *this;
    }

    handle handle_;
    error failure_;
};

}  // namespace maxstorage

#endif
