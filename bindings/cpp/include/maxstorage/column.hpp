// Rows of a batch, copied into the columns that an engine has itself.
#ifndef MAXSTORAGE_COLUMN_HPP
#define MAXSTORAGE_COLUMN_HPP

#include <cstddef>
#include <cstdint>

#include "arrow_types.hpp"
#include "result.hpp"

namespace maxstorage {

/// One column of a batch. It borrows schema and batch, which must outlive it, and may be used from any thread.
class column {
public:
    /// A column, from 0 to columns() - 1. For nested types `of` and `below` are the struct, list or map that the column is below.
    column(const ArrowSchema &of, const ArrowArray &below, int64_t index) noexcept : schema_(&of), array_(&below), index_(index) {}
    /// A column of a batch with the schema that it was delivered with.
    column(const schema &of, const batch &rows, int64_t index) noexcept : column(*of.get(), *rows.get(), index) {}

    /// Copies values of the same size each; a BOOLEAN becomes a byte. Where a row is NULL its value means nothing.
    result<void> copy_values(int64_t start_row, int64_t row_count, void *values, size_t bytes) const noexcept {
        return detail::call(ms_column_copy_values, schema_, array_, index_, start_row, row_count, values, bytes);
    }
    /// Writes a byte for each row, 1 for NULL, and tells how many are.
    result<int64_t> copy_nulls(int64_t start_row, int64_t row_count, uint8_t *nulls, size_t bytes) const noexcept {
        int64_t count = 0;
        const auto done = detail::call(ms_column_copy_nulls, schema_, array_, index_, start_row, row_count, nulls, bytes, &count);
        if (!done) return done.error();
        return count;
    }
    /// Writes a bit for each row, 1 for a value, in the order of Arrow, and tells how many rows are NULL.
    result<int64_t> copy_validity(int64_t start_row, int64_t row_count, uint8_t *validity, size_t bytes) const noexcept {
        int64_t count = 0;
        const auto done = detail::call(ms_column_copy_validity, schema_, array_, index_, start_row, row_count, validity, bytes, &count);
        if (!done) return done.error();
        return count;
    }
    /// Bytes that copy_strings will write.
    result<size_t> strings_size(int64_t start_row, int64_t row_count) const noexcept {
        size_t bytes = 0;
        const auto done = detail::call(ms_column_strings_size, schema_, array_, index_, start_row, row_count, &bytes);
        if (!done) return done.error();
        return bytes;
    }
    /// Copies strings or binary values of any layout, and where each of them ends, counted from `first_end`. NULL has no bytes.
    result<void> copy_strings(int64_t start_row, int64_t row_count, uint32_t first_end, void *bytes, size_t bytes_capacity, uint32_t *ends,
                              size_t ends_capacity) const noexcept {
        return detail::call(ms_column_copy_strings, schema_, array_, index_, start_row, row_count, first_end, bytes, bytes_capacity, ends,
                            ends_capacity);
    }

private:
    const ArrowSchema *schema_;
    const ArrowArray *array_;
    int64_t index_;
};

}  // namespace maxstorage

#endif
