// Failures as values: `error`, and `result<T>`, which is a T or an error.
//
// Nothing here throws. Who prefers exceptions includes <maxstorage/exceptions.hpp> and writes `or_throw(call)`.
#ifndef MAXSTORAGE_RESULT_HPP
#define MAXSTORAGE_RESULT_HPP

#include <maxstorage.h>

#include <cassert>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>

namespace maxstorage {

/// A failure: a status for programs, a sentence for people, the request id for the service's support. Cheap to copy; a
/// default-constructed one is no failure (code MS_OK). May be read from any thread.
class error {
public:
    /// No failure.
    error() noexcept = default;

    /// Takes over what a call of the C interface reported; `handle` may be NULL.
    error(ms_status code, ms_error *handle) noexcept : code_(code) {
        if (handle != nullptr) handle_ = std::shared_ptr<ms_error>(handle, ms_error_free);
    }

    /// MS_INVALID_ARGUMENT and the like; `retryable()` says whether trying again at a higher level makes sense.
    ms_status code() const noexcept { return code_; }
    /// The name of the code, for example "MS_NOT_FOUND".
    const char *name() const noexcept { return ms_status_name(code_); }
    /// One sentence, without credentials.
    const char *message() const noexcept { return ms_error_message(handle_.get()); }
    /// Whether trying again at a higher level makes sense.
    bool retryable() const noexcept { return ms_error_is_retryable(handle_.get()); }
    /// The code of the service, for example "NoSuchTable"; empty if the failure did not come from it.
    const char *server_code() const noexcept { return ms_error_server_code(handle_.get()); }
    /// Empty if no answer of the service belongs to the failure.
    const char *request_id() const noexcept { return ms_error_request_id(handle_.get()); }
    /// 0 without an HTTP answer.
    int32_t http_status() const noexcept { return ms_error_http_status(handle_.get()); }
    /// How many requests were made.
    int32_t attempts() const noexcept { return ms_error_attempts(handle_.get()); }
    /// All of this as a JSON document, for logs.
    const char *json() const noexcept { return ms_error_json(handle_.get()); }

    /// True for a failure.
    explicit operator bool() const noexcept { return code_ != MS_OK; }

    /// "MS_NOT_FOUND: the sentence (request id 42)".
    std::string to_string() const {
        std::string text = std::string(name()) + ": " + message();
        if (*request_id() != '\0') text += std::string(" (request id ") + request_id() + ")";
        return text;
    }

private:
    ms_status code_ = MS_OK;
    std::shared_ptr<ms_error> handle_;
};

/// A value or an error. Ask before you take, as with std::optional:
///
///     if (auto session = client.open_session(options)) use(*session); else log(session.error());
template <class T>
class [[nodiscard]] result {
public:
    /// A value, or a failure, which must be one.
    ///@{
    result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    result(maxstorage::error failure) : state_(std::in_place_index<1>, std::move(failure)) { assert(this->error()); }

    ///@}

    /// Whether there is a value.
    ///@{
    explicit operator bool() const noexcept { return state_.index() == 0; }
    bool has_value() const noexcept { return state_.index() == 0; }
    ///@}

    /// The value. Only where there is one: in a debug build anything else ends the program.
    ///@{
    T &operator*() & noexcept { return *get(); }
    const T &operator*() const & noexcept { return *get(); }
    T &&operator*() && noexcept { return std::move(*get()); }
    T *operator->() noexcept { return get(); }
    const T *operator->() const noexcept { return get(); }
    ///@}

    /// The failure; one with code MS_OK where there is a value.
    maxstorage::error error() const noexcept {
        const auto *failure = std::get_if<1>(&state_);
        return failure != nullptr ? *failure : maxstorage::error();
    }

private:
    T *get() noexcept {
        assert(has_value());
        return std::get_if<0>(&state_);
    }
    const T *get() const noexcept {
        assert(has_value());
        return std::get_if<0>(&state_);
    }
    std::variant<T, maxstorage::error> state_;
};

/// Success or an error.
template <>
class [[nodiscard]] result<void> {
public:
    /// Success.
    result() noexcept = default;
    /// A failure; success if its code is MS_OK.
    result(maxstorage::error failure) noexcept : error_(std::move(failure)) {}
    /// Whether there is no failure.
    ///@{
    explicit operator bool() const noexcept { return !error_; }
    bool has_value() const noexcept { return !error_; }
    ///@}
    /// The failure; one with code MS_OK for success.
    maxstorage::error error() const noexcept { return error_; }

private:
    maxstorage::error error_;
};

namespace detail {

/// Frees a handle with the function of the C interface that is made for it.
template <auto Free>
struct freed {
    template <class T>
    void operator()(T *handle) const noexcept { Free(handle); }
};
template <class T, auto Free>
using handle = std::unique_ptr<T, freed<Free>>;

/// Calls a function of the C interface, whose last parameter is always `ms_error **`.
template <class Function, class... Arguments>
result<void> call(Function function, Arguments... arguments) noexcept {
    ms_error *failure = nullptr;
    if (const ms_status status = function(arguments..., &failure); status != MS_OK) return error(status, failure);
    return {};
}

/// The same for a function that makes a handle: the output is the last parameter before the error.
template <class Handle, class Function, class... Arguments>
result<Handle> make(Function function, Arguments... arguments) noexcept {
    typename Handle::pointer out = nullptr;
    if (auto done = call(function, arguments..., &out); !done) return done.error();
    return Handle(out);
}

}  // namespace detail
}  // namespace maxstorage

#endif
