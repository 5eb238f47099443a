// Figures of a client, a split or a scan at one moment.
#ifndef MAXSTORAGE_METRICS_HPP
#define MAXSTORAGE_METRICS_HPP

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "result.hpp"

namespace maxstorage {

/// Names, values and units; docs/metrics.md explains each.
class metrics {
public:
    using handle = detail::handle<ms_metrics, ms_metrics_free>;
    explicit metrics(handle owned) noexcept : handle_(std::move(owned)) {}

    size_t size() const noexcept { return ms_metrics_count(handle_.get()); }
    const char *name(size_t index) const noexcept { return ms_metrics_name(handle_.get(), index); }
    int64_t value(size_t index) const noexcept { return ms_metrics_value(handle_.get(), index); }
    const char *unit(size_t index) const noexcept { return ms_metrics_unit(handle_.get(), index); }
    /// The value of a name; -1 if there is none.
    int64_t operator[](std::string_view name) const noexcept {
        for (size_t i = 0; i < size(); i++)
            if (name == this->name(i)) return value(i);
        return -1;
    }

private:
    handle handle_;
};

}  // namespace maxstorage

#endif
