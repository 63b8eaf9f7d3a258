// Under which addresses this host can be reached, and which of a peer's addresses to take.
#pragma once

#include <string>
#include <vector>

namespace shoal {

// "127.0.0.1", "::1", ...
bool is_loopback(const std::string& address);

// Numeric IPv4 addresses of this host's interfaces that are up, without loopback.
std::vector<std::string> own_addresses();

// The same addresses, those on a network of one of our interfaces first.
std::vector<std::string> nearest_first(std::vector<std::string> addresses);

}  // namespace shoal
