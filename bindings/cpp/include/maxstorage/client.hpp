// An endpoint, a caller, and the limits shared by everything opened through it.
#ifndef MAXSTORAGE_CLIENT_HPP
#define MAXSTORAGE_CLIENT_HPP

#include <cstdint>
#include <string_view>
#include <utility>

#include "arrow_types.hpp"
#include "cancel.hpp"
#include "metrics.hpp"
#include "options.hpp"
#include "predicate.hpp"
#include "session.hpp"

namespace maxstorage {

/// Sessions and what is opened from them go on when the client is gone. Any thread may use it.
class client {
public:
    /// Owns the handle of the C interface.
    using handle = detail::handle<ms_client, ms_client_free>;
    /// Takes over a handle of the C interface.
    explicit client(handle owned) noexcept : handle_(std::move(owned)) {}

    /// Checks the options; makes no request.
    static result<client> open(const options &settings) noexcept {
        if (auto set = settings.check(); !set) return set.error();
        auto made = detail::make<handle>(ms_client_open, settings.get());
        if (!made) return made.error();
        return client(std::move(*made));
    }

    /// Plans a read of the table that the option `table` names. Blocks until the plan is ready.
    ///@{
    result<session> open_session(const options &scan) const noexcept { return open_session_with(scan, nullptr, nullptr); }
    result<session> open_session(const options &scan, const canceller &cancel) const noexcept {
        return open_session_with(scan, nullptr, cancel.get());
    }
    result<session> open_session(const options &scan, const predicate &filter) const noexcept {
        if (auto built = filter.check(); !built) return built.error();
        return open_session_with(scan, filter.get(), nullptr);
    }
    result<session> open_session(const options &scan, const predicate &filter, const canceller &cancel) const noexcept {
        if (auto built = filter.check(); !built) return built.error();
        return open_session_with(scan, filter.get(), cancel.get());
    }

    ///@}

    /// A handle of the same client whose calls, and the streams they give, end with `cancel`: for the calls of one query. What is opened with it
    /// goes on.
    result<client> with_cancel(const canceller &cancel) const noexcept {
        auto made = detail::make<handle>(ms_client_with_cancel, static_cast<const ms_client *>(handle_.get()), cancel.get());
        if (!made) return made.error();
        return client(std::move(*made));
    }

    /// A session that was planned elsewhere, from the bytes of session::serialize. Makes no request.
    result<session> attach(std::string_view token) const noexcept {
        auto made = detail::make<session::handle>(ms_session_attach, handle_.get(), static_cast<const void *>(token.data()), token.size());
        if (!made) return made.error();
        return session(std::move(*made));
    }

    // The catalogue: streams of batches, whose columns docs/catalogue.md tells. Names may be NULL where that stands for the default.
    /// Projects and their schemas; of all projects for NULL. Blocks until the service has answered.
    result<stream> projects_schemas(const char *project = nullptr) const noexcept { return list(ms_projects_schemas, project); }
    /// The tables whose names match a pattern with * and ?. Blocks until the service has answered.
    result<stream> tables(const char *project = nullptr, const char *schema = nullptr, const char *pattern = nullptr) const noexcept {
        return list(ms_tables, project, schema, pattern);
    }
    /// The columns, with their MaxCompute types and keys as field metadata.
    result<maxstorage::schema> table_schema(const char *table) const noexcept {
        maxstorage::schema out;
        if (auto done = detail::call(ms_table_schema, handle_.get(), table, out.out()); !done) return done.error();
        return out;
    }
    /// What is known of a table besides its columns: one row. Blocks until the service has answered.
    result<stream> table_details(const char *table) const noexcept { return list(ms_table_details, table); }
    /// The partitions of a table, as far as a filter on the partition keys lets them through. Blocks until the service has answered.
    ///@{
    result<stream> partitions(const char *table) const noexcept { return list(ms_partitions, table, static_cast<const ms_predicate *>(nullptr)); }
    result<stream> partitions(const char *table, const predicate &filter) const noexcept {
        if (auto built = filter.check(); !built) return built.error();
        return list(ms_partitions, table, filter.get());
    }
    ///@}
    /// The first rows, without a session.
    ///@{
    result<stream> preview(const char *table, int64_t rows) const noexcept {
        return list(ms_table_preview, table, static_cast<const ms_options *>(nullptr), rows);
    }
    result<stream> preview(const char *table, int64_t rows, const options &scan) const noexcept {
        if (auto set = scan.check(); !set) return set.error();
        return list(ms_table_preview, table, scan.get(), rows);
    }
    ///@}
    /// Walks from name resolution to the right to read, a row for each step.
    result<stream> diagnose(const char *table = nullptr) const noexcept { return list(ms_client_diagnose, table); }

    /// Memory and requests of everything opened through the client.
    result<maxstorage::metrics> metrics() const noexcept {
        auto made = detail::make<maxstorage::metrics::handle>(ms_client_metrics, handle_.get());
        if (!made) return made.error();
        return maxstorage::metrics(std::move(*made));
    }
    /// For calls of the C interface; stays this object's.
    ms_client *get() const noexcept { return handle_.get(); }

private:
    template <class Function, class... Arguments>
    result<stream> list(Function function, Arguments... arguments) const noexcept {
        stream out;
        if (auto done = detail::call(function, handle_.get(), arguments..., out.out()); !done) return done.error();
        return out;
    }
    result<session> open_session_with(const options &scan, const ms_predicate *filter, const ms_cancel *cancel) const noexcept {
        if (auto set = scan.check(); !set) return set.error();
        auto made = detail::make<session::handle>(ms_session_open_cancellable, handle_.get(), scan.get(), filter, cancel);
        if (!made) return made.error();
        return session(std::move(*made));
    }
    handle handle_;
};

inline result<void> canceller::arm(const client &any) const noexcept {
    return detail::call(ms_cancel_arm, get(), static_cast<const ms_client *>(any.get()));
}

}  // namespace maxstorage

#endif
