// What a provider of credentials fills in.
#ifndef MAXSTORAGE_CREDENTIALS_HPP
#define MAXSTORAGE_CREDENTIALS_HPP

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "result.hpp"

namespace maxstorage {

/// Credentials that the library asks a provider for; see options::credentials_provider. Valid inside that call only; texts are copied.
class credentials {
public:
    /// Wraps what the library handed out, which stays its own.
    explicit credentials(ms_credentials *out) noexcept : out_(out) {}

    /// An AccessKey; with a security token a temporary one.
    result<void> access_key(std::string_view id, std::string_view secret, std::string_view token = {}) {
        const std::string held(token);
        return detail::call(ms_credentials_set_access_key, out_, std::string(id).c_str(), std::string(secret).c_str(), token.empty() ? nullptr : held.c_str());
    }
    /// A bearer token, in place of an AccessKey.
    result<void> bearer_token(std::string_view token) { return detail::call(ms_credentials_set_bearer_token, out_, std::string(token).c_str()); }
    /// When they end; the library asks again ahead of that.
    result<void> expires(std::chrono::system_clock::time_point time) {
        const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
        return detail::call(ms_credentials_set_expiry_ms, out_, static_cast<int64_t>(since));
    }
    /// Why there are none: a sentence for the message of the failure, without secrets. Returns MS_UNAVAILABLE, for the provider to return.
    result<void> unavailable(std::string_view reason) {
        if (auto said = detail::call(ms_credentials_set_error, out_, std::string(reason).c_str()); !said) return said;
        return error(MS_UNAVAILABLE, nullptr);
    }

private:
    ms_credentials *out_;
};

}  // namespace maxstorage

#endif
