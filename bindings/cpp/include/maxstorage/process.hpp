// What concerns the whole process: versions, the log, the threads of the library.
#ifndef MAXSTORAGE_PROCESS_HPP
#define MAXSTORAGE_PROCESS_HPP

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "result.hpp"

namespace maxstorage {

/// Whether the library that was loaded has the ABI of this header.
inline bool abi_matches() noexcept { return ms_abi_version() == MS_ABI_VERSION; }
/// The version of the library, for example "0.1.0"; static text.
inline const char *version() noexcept { return ms_version(); }
/// How the library was built, for bug reports; static text.
inline const char *build_info() noexcept { return ms_build_info(); }
/// Whether the library that was loaded can do this: one of the MS_FEATURE_ constants, or several of them together.
inline bool has_features(uint64_t features) noexcept { return (ms_features() & features) == features; }
/// How many handles of the library are alive, for tests.
inline int64_t live_handles() noexcept { return ms_live_handles(); }

/// The level of a log record; a sink gets the records up to its level.
enum class log_level : int32_t { error = 1, warn, info, debug, trace };
/// Receives log records: target and message, valid inside the call only. Called from threads of the library, several at once; must neither
/// throw nor call the library.
using log_sink = std::function<void(log_level level, const char *target, const char *message)>;

/// Sends the log of the library to a sink, or, if that is empty, nowhere. When this returns the former sink is not called any more. From any
/// thread, but not from a callback.
inline result<void> set_log(log_level level, log_sink sink) {
    static std::mutex lock;
    static log_sink *current = nullptr;  // never freed at the end of the process: threads of the library may still log
    const std::lock_guard<std::mutex> guard(lock);
    auto next = sink ? std::make_unique<log_sink>(std::move(sink)) : nullptr;
    const ms_log_callback call = [](void *context, int32_t number, const char *target, const char *message) {
        (*static_cast<log_sink *>(context))(static_cast<log_level>(number), target, message);
    };
    const ms_status status = ms_set_log_callback(next ? call : nullptr, next.get(), next ? static_cast<int32_t>(level) : 0);
    if (status != MS_OK) return error(status, nullptr);
    delete current;
    current = next.release();
    return {};
}

/// Ends all calls of functions of the host, for good: log, wakers, providers, memory hooks. For hosts whose functions cannot be called any more
/// while the process still ends; reads that need them fail then. From any thread, but not from a callback.
inline result<void> end_callbacks() {
    if (const ms_status status = ms_end_callbacks(); status != MS_OK) return error(status, nullptr);
    return {};
}

/// Waits until no thread of the library is left, for hosts that must see them gone. MS_WRONG_STATE while anything is open, MS_TIMEOUT if a thread
/// takes longer; a later client::open starts the threads again.
inline result<void> shutdown(std::chrono::milliseconds timeout) {
    if (const ms_status status = ms_shutdown(static_cast<int64_t>(timeout.count())); status != MS_OK) return error(status, nullptr);
    return {};
}

}  // namespace maxstorage

#endif
