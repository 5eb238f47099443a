// Splits and scans as arrow::RecordBatchReader of Arrow C++. Needs Arrow's headers and library.
#ifndef MAXSTORAGE_ADAPTERS_ARROW_READER_HPP
#define MAXSTORAGE_ADAPTERS_ARROW_READER_HPP

#include <arrow/c/bridge.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <memory>
#include <utility>

#include "../reader.hpp"

namespace maxstorage {

/// A failure as Arrow has it: the sentence with the request id, under the nearest code.
inline arrow::Status to_arrow_status(const error &failure) {
    switch (failure.code() / 100) {
        case 0: return arrow::Status::OK();
        case 1: return arrow::Status::Invalid(failure.to_string());
        case 3: return arrow::Status::KeyError(failure.to_string());
        case 6: return arrow::Status::Cancelled(failure.to_string());
        default: return arrow::Status::IOError(failure.to_string());
    }
}

/// A split or a scan as a reader of Arrow C++. It is used up; its buffers are not copied.
template <class Reader>
arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> to_arrow(Reader &&reader) {
    auto made = std::forward<Reader>(reader).into_stream();
    if (!made) return to_arrow_status(made.error());
    ArrowArrayStream stream = made->release();
    return arrow::ImportRecordBatchReader(&stream);
}

}  // namespace maxstorage

#endif
