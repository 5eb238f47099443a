// The same as consumer.c from C++17, with an owner of its own for a handle.
#include <maxstorage.h>

#include <cstdio>
#include <memory>
#include <string>

namespace {
struct FreeOptions {
  void operator()(ms_options *options) const noexcept { ms_options_free(options); }
};
}  // namespace

int main() {
  const std::unique_ptr<ms_options, FreeOptions> options(ms_options_new());
  ms_error *error = nullptr;
  const ms_status status = ms_options_set(options.get(), "no.such.key", "1", &error);
  const std::string message = ms_error_message(error);
  ms_error_free(error);
  const bool ok = status == MS_INVALID_OPTION && message.find("no.such.key") != std::string::npos && ms_abi_version() == MS_ABI_VERSION;
  std::printf("maxstorage %s: %s\n", ms_version(), message.c_str());
  return ok ? 0 : 1;
}
