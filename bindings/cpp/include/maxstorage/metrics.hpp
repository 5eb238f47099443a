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
    /// Owns the handle of the C interface.
    using handle = detail::handle<ms_metrics, ms_metrics_free>;
    /// Takes over a handle of the C interface.
    explicit metrics(handle owned) noexcept : handle_(std::move(owned)) {}

    /// How many figures there are.
    size_t size() const noexcept { return ms_metrics_count(handle_.get()); }
    /// The name of a figure, from 0 to size() - 1; borrowed from this object. "" for another index.
    const char *name(size_t index) const noexcept { return ms_metrics_name(handle_.get(), index); }
    /// The value of a figure; 0 for another index.
    int64_t value(size_t index) const noexcept { return ms_metrics_value(handle_.get(), index); }
    /// Its unit: "rows", "batches", "bytes", "requests", "values" or "us".
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
