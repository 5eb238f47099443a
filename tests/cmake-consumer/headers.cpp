// The same as consumer.cpp over the C++ headers: what the target maxstorage::cpp has to bring.
#include <maxstorage.hpp>
#include <maxstorage/adapters/chunk_reader.hpp>
#include <maxstorage/exceptions.hpp>

#include <cstdio>
#include <string>

int main() {
  namespace ms = maxstorage;
  ms::options refused;
  refused.set("no.such.key", "1");
  const auto client = ms::client::open(refused);
  const std::string message = client ? "" : client.error().to_string();
  const bool ok = message.find("MS_INVALID_OPTION") == 0 && message.find("no.such.key") != std::string::npos && ms::abi_matches();
  std::printf("maxstorage %s: %s\n", ms_version(), message.c_str());
  return ok ? 0 : 1;
}
