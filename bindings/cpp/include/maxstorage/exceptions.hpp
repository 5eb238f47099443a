// Opt in to exceptions: `session s = or_throw(client.open_session(options));`
#ifndef MAXSTORAGE_EXCEPTIONS_HPP
#define MAXSTORAGE_EXCEPTIONS_HPP

#include <stdexcept>
#include <type_traits>
#include <utility>

#include "result.hpp"

namespace maxstorage {

/// A failure as an exception; what() is error::to_string().
class exception : public std::runtime_error {
public:
    /// Takes over a failure.
    explicit exception(maxstorage::error failure) : std::runtime_error(failure.to_string()), error_(std::move(failure)) {}
    /// The failure; borrowed from this object.
    const maxstorage::error &error() const noexcept { return error_; }

private:
    maxstorage::error error_;
};

/// The value, or an exception.
template <class T>
T or_throw(result<T> &&outcome) {
    if (!outcome) throw exception(outcome.error());
    if constexpr (!std::is_void_v<T>) return std::move(*outcome);
}

}  // namespace maxstorage

#endif
