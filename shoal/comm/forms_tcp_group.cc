// The mesh of a tcp group: every rank listens, connects to the ranks below its own, and is
// connected to by those above. The first rank draws the secret that all connections have to prove;
// it reaches the others through the store.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <list>
#include <optional>
#include <sstream>
#include <thread>

#include "shoal/comm/failure.h"
#include "shoal/comm/forming.h"
#include "shoal/comm/forms_region.h"
#include "shoal/comm/frame_group.h"
#include "shoal/comm/handshake.h"
#include "shoal/comm/interfaces.h"
#include "shoal/comm/tcp_socket.h"

namespace shoal {
namespace {

using std::chrono::milliseconds;
constexpr std::chrono::seconds kHandshake{10};
constexpr std::size_t kMostStrangers = 64;  // at a time
constexpr int kMostAttempts = 8;            // to connect, over most of a second

struct Offer {
  std::string secret;  // of the first rank only
  int port = 0;
  std::vector<std::string> addresses;
};

class TcpGroupForms final : public FormsGroup {
 public:
  explicit TcpGroupForms(const Forming& forming)
      : forming_(forming),
        size_(static_cast<int>(forming.ranks.size())),
        spec_(frame_spec_of(forming)) {
    if (forming.engine == Engine::hierarchical) share_memory();
  }

  std::string offer(Deadline deadline) override {
    if (region_) region_->offer(deadline);
    if (size_ == 1) return "alone";
    const std::string& chosen = forming_.options.interface_address;
    std::vector<std::string> addresses;
    if (!chosen.empty()) {
      addresses = {chosen};
      listener_ = listen_tcp(chosen, 0);
    } else if (forming_.members->on_one_machine(forming_.ranks)) {
      addresses = {"127.0.0.1"};
      listener_ = listen_tcp("127.0.0.1", 0);
    } else {
      // The way to the store is known to work, so it comes first.
      const std::string store = forming_.store->local_address();
      if (!store.empty() && !is_loopback(store)) addresses.push_back(store);
      for (const std::string& own : own_addresses()) {
        if (own != store) addresses.push_back(own);
      }
      addresses.emplace_back("127.0.0.1");
      listener_ = listen_tcp(store.find(':') == std::string::npos ? "0.0.0.0" : "::", 0);
    }
    const std::string secret = forming_.rank == 0 ? random_name() + random_name() : "-";
    return fmt::format("{} {} {}", secret, port_of(listener_), fmt::join(addresses, " "));
  }

  std::unique_ptr<Group> finish(Deadline deadline) override {
    if (region_) spec_.wires.region = region_->finish(deadline);
    if (size_ > 1) {
      secret_ = offer_of(0, deadline).secret;
      for (int peer = 0; peer < forming_.rank; ++peer) {
        const Offer theirs = offer_of(peer, deadline);
        for (const Traffic traffic : {Traffic::collectives, Traffic::messages}) {
          keep(peer, traffic, connect(peer, traffic, theirs, deadline));
        }
      }
      accept_all(deadline);
      listener_.reset();
    }
    return std::make_unique<FrameGroup>(std::move(spec_), forming_.registry);
  }

 private:
  // A host's ranks have the region of the lowest of them.
  void share_memory() {
    const std::vector<int>& hosts = forming_.layout.hosts;
    std::vector<int> places;
    spec_.wires.places.assign(forming_.ranks.size(), -1);
    for (int rank = 0; rank < size_; ++rank) {
      if (hosts[rank] != hosts[forming_.rank]) continue;
      spec_.wires.places[rank] = static_cast<int>(places.size());
      places.push_back(rank);
    }
    if (places.size() > 1) region_.emplace(forming_, std::move(places));
  }

  Offer offer_of(int rank, Deadline deadline) const {
    std::istringstream in(forming_.store->get(fmt::format("offer/{}", rank), deadline));
    Offer offer;
    in >> offer.secret >> offer.port;
    for (std::string address; in >> address;) offer.addresses.push_back(address);
    if (offer.port == 0) {
      throw InvalidInput(
          fmt::format("rank {} of group {} does not offer a tcp connection; set "
                      "comm.engine to the same value for all workers",
                      rank, forming_.name));
    }
    return offer;
  }

  bool is_on_our_machine(int peer) const {
    return forming_.members->on_one_machine({forming_.ranks[forming_.rank], forming_.ranks[peer]});
  }

  void keep(int peer, Traffic traffic, Socket socket) {
    tune_for_data(socket);
    if (is_on_our_machine(peer)) tune_for_loopback(socket);
    const int send_buffer = spec_.tear.socket_buffer_bytes;
    if (send_buffer > 0) set_send_buffer(socket, send_buffer);
    spec_.wires.socket(traffic, peer) = std::move(socket);
  }

  void check_alive() const {
    forming_.members->check_alive(forming_.ranks, "forming group " + forming_.name);
  }

  // Addresses of a peer that can lead to it from here.
  std::vector<std::string> ways_to(int peer, const Offer& theirs) const {
    if (is_on_our_machine(peer)) {
      // The last one offered is loopback, unless a certain interface was asked for.
      return {theirs.addresses.back()};
    }
    std::vector<std::string> addresses = theirs.addresses;
    std::erase_if(addresses, is_loopback);
    if (addresses.empty()) {
      throw InvalidInput(fmt::format(
          "rank {} of group {} can only be reached at {}, which leads nowhere from the host of "
          "rank {}; set comm.interface_address there to an address of its network",
          peer, forming_.name, fmt::join(theirs.addresses, ", "), forming_.rank));
    }
    return nearest_first(std::move(addresses));
  }

  Socket connect(int peer, Traffic traffic, const Offer& theirs, Deadline deadline) const {
    const std::uint64_t who =
        static_cast<std::uint64_t>(forming_.rank) * kTraffics + static_cast<std::uint64_t>(traffic);
    milliseconds pause{10};
    for (int attempts = 1;; ++attempts) {
      std::string failures;
      bool turned_away = false;
      for (const std::string& address : ways_to(peer, theirs)) {
        const Deadline attempt =
            Deadline::after(std::min<milliseconds>(deadline.left(), kHandshake));
        std::string why = "it is not one of this job";
        Socket socket = connect_tcp(address, theirs.port, attempt, why);
        if (socket) {
          await_greeting(socket, attempt);
          const Admission admission = ask_admission(socket, secret_, who, attempt);
          if (admission == Admission::admitted) return socket;
          if (admission == Admission::gone) {
            turned_away = true;
            why = "it closed the connection";
          }
        }
        failures += fmt::format("{}{} port {}: {}", failures.empty() ? "" : "; ", address,
                                theirs.port, why);
      }
      check_alive();
      if (!turned_away || attempts == kMostAttempts || deadline.passed()) {
        throw_unreachable(peer, failures);
      }
      // A crowd of strangers may have pushed us out, or the network failed for a moment.
      std::this_thread::sleep_for(std::min(pause, deadline.left()));
      pause = std::min(pause * 2, milliseconds(200));
    }
  }

  // A listener that dies while it takes a connection leaves the other end open and silent.
  void await_greeting(const Socket& socket, Deadline deadline) const {
    constexpr milliseconds kLookAround{250};
    while (!await_events(socket.fd(), POLLIN,
                         Deadline::after(std::min(deadline.left(), kLookAround)))) {
      check_alive();
      if (deadline.passed()) return;
    }
  }

  [[noreturn]] void throw_unreachable(int peer, const std::string& failures) const {
    throw PeerLost(fmt::format("rank {} cannot connect to rank {} of group {} ({}); open the way "
                               "or set comm.interface_address to an address that leads there",
                               forming_.rank, peer, forming_.name, failures),
                   {peer});
  }

  struct Visitor {
    explicit Visitor(Socket connection, const std::string& secret)
        : socket(std::move(connection)), keeper(secret) {}
    Socket socket;
    Doorkeeper keeper;
    Deadline give_up = Deadline::after(kHandshake);
  };

  // Strangers may knock, too: none of them holds up the others.
  void accept_all(Deadline deadline) {
    std::list<Visitor> visitors;
    int missing = kTraffics * (size_ - 1 - forming_.rank);
    while (missing > 0) {
      std::vector<pollfd> entries{{listener_.fd(), POLLIN, 0}};
      for (const Visitor& visitor : visitors) entries.push_back({visitor.socket.fd(), POLLIN, 0});
      const auto limit = std::min(deadline.left(), milliseconds(100));
      if (poll(entries.data(), entries.size(), static_cast<int>(limit.count())) == 0) {
        check_alive();
        if (deadline.passed()) throw_unconnected(deadline);
      }
      for (auto visitor = visitors.begin(); visitor != visitors.end();) {
        const auto here = visitor++;
        const Doorkeeper::Verdict verdict = listen_to(*here);
        if (verdict == Doorkeeper::Verdict::more && !here->give_up.passed()) continue;
        if (verdict == Doorkeeper::Verdict::accepted) missing -= welcome(*here);
        visitors.erase(here);
      }
      while (Socket socket = accept_tcp(listener_)) {
        // Members are admitted within milliseconds, so the oldest is hardly one.
        if (visitors.size() >= kMostStrangers + static_cast<std::size_t>(missing)) {
          visitors.pop_front();
        }
        visitors.emplace_back(std::move(socket), secret_);
        const std::string& greeting = visitors.back().keeper.greeting();
        if (!write_all(visitors.back().socket, greeting.data(), greeting.size(),
                       Deadline::after(milliseconds(0)))) {
          visitors.pop_back();
        }
      }
    }
  }

  static Doorkeeper::Verdict listen_to(Visitor& visitor) {
    char bytes[128];
    const std::size_t most = std::min(sizeof bytes, visitor.keeper.bytes_missing());
    const ssize_t got = recv(visitor.socket.fd(), bytes, most, 0);
    if (got > 0) return visitor.keeper.take({bytes, static_cast<std::size_t>(got)});
    const bool nothing_yet = got < 0 && (errno == EAGAIN || errno == EINTR);
    return nothing_yet ? Doorkeeper::Verdict::more : Doorkeeper::Verdict::refused;
  }

  // Returns how many connections have come with it. A member that comes again has lost its first
  // connection: only the last counts.
  int welcome(Visitor& visitor) {
    const std::uint64_t peer = visitor.keeper.visitor() / kTraffics;
    const auto traffic = static_cast<Traffic>(visitor.keeper.visitor() % kTraffics);
    const std::string& answer = visitor.keeper.answer();
    if (peer <= static_cast<std::uint64_t>(forming_.rank) ||
        peer >= static_cast<std::uint64_t>(size_) ||
        !write_all(visitor.socket, answer.data(), answer.size(),
                   Deadline::after(milliseconds(100)))) {
      return 0;
    }
    const bool known = static_cast<bool>(spec_.wires.socket(traffic, static_cast<int>(peer)));
    keep(static_cast<int>(peer), traffic, std::move(visitor.socket));
    return known ? 0 : 1;
  }

  [[noreturn]] void throw_unconnected(Deadline deadline) const {
    std::vector<int> absent;
    for (int peer = forming_.rank + 1; peer < size_; ++peer) {
      const bool there = spec_.wires.socket(Traffic::collectives, peer) &&
                         spec_.wires.socket(Traffic::messages, peer);
      if (!there) absent.push_back(peer);
    }
    throw not_joined({"the connections", 0, forming_.name}, absent, {forming_.rank},
                     deadline.waited());
  }

  const Forming forming_;
  const int size_;
  FrameGroupSpec spec_;
  Socket listener_;
  std::string secret_;
  std::optional<FormsRegion> region_;  // of this host, when others of the group are on it
};

}  // namespace

std::unique_ptr<FormsGroup> forms_tcp_group(const Forming& forming) {
  return std::make_unique<TcpGroupForms>(forming);
}

}  // namespace shoal
