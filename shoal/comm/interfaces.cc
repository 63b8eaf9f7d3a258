#include "shoal/comm/interfaces.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstdint>
#include <memory>

namespace shoal {
namespace {

struct Network {
  std::uint32_t address;  // network byte order
  std::uint32_t mask;
};

std::vector<Network> own_networks() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
  std::vector<Network> networks;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_netmask == nullptr ||
        entry->ifa_addr->sa_family != AF_INET || (entry->ifa_flags & IFF_UP) == 0 ||
        (entry->ifa_flags & IFF_LOOPBACK) != 0) {
      continue;
    }
    networks.push_back({reinterpret_cast<sockaddr_in*>(entry->ifa_addr)->sin_addr.s_addr,
                        reinterpret_cast<sockaddr_in*>(entry->ifa_netmask)->sin_addr.s_addr});
  }
  return networks;
}

}  // namespace

bool is_loopback(const std::string& address) {
  return address.rfind("127.", 0) == 0 || address == "::1" || address == "localhost";
}

std::vector<std::string> own_addresses() {
  std::vector<std::string> addresses;
  for (const Network& network : own_networks()) {
    char text[INET_ADDRSTRLEN];
    if (inet_ntop(AF_INET, &network.address, text, sizeof text) != nullptr) {
      addresses.emplace_back(text);
    }
  }
  return addresses;
}

std::vector<std::string> nearest_first(std::vector<std::string> addresses) {
  const std::vector<Network> networks = own_networks();
  std::stable_partition(addresses.begin(), addresses.end(), [&](const std::string& text) {
    in_addr address{};
    if (inet_pton(AF_INET, text.c_str(), &address) != 1) return false;
    return std::any_of(networks.begin(), networks.end(), [&](const Network& network) {
      return (address.s_addr & network.mask) == (network.address & network.mask);
    });
  });
  return addresses;
}

}  // namespace shoal
