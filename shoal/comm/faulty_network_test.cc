#include "shoal/comm/faulty_network.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <list>
#include <mutex>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

#include "shoal/comm/in_process.h"
#include "shoal/comm/tcp_socket.h"
#include "shoal/comm/test_worlds.h"

namespace shoal::test {

// One direction of a connection.
struct FaultyNetwork::Way {
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kMostPending = 1 << 18;

  int from = -1;
  int to = -1;
  const Socket* in = nullptr;
  const Socket* out = nullptr;
  std::size_t passed = 0;  // bytes read
  std::string pending;     // bytes to write
  std::size_t to_drop = 0;
  std::size_t crumbs = 0;
  double bytes_per_second = 0;  // 0: as many as there are
  Clock::time_point paced_until = Clock::time_point::min();
  Clock::time_point held_until = Clock::time_point::min();
  bool ended = false;   // nothing more will be read
  bool closed = false;  // and the receiver was told

  bool held() const { return Clock::now() < held_until; }
  bool wants_more() const { return !ended && !held() && pending.size() < kMostPending; }
  bool can_write() const { return !pending.empty() && !held() && Clock::now() >= paced_until; }
  // Before bytes are pending. The time in which there were none does not count.
  void begin_to_pace() {
    if (bytes_per_second > 0 && pending.empty()) paced_until = std::max(paced_until, Clock::now());
  }
  // After `bytes` were sent. What a late turn of the network has missed is made up for.
  void pace(std::size_t bytes) {
    if (bytes_per_second <= 0) return;
    const auto takes = std::chrono::duration<double>(static_cast<double>(bytes) / bytes_per_second);
    paced_until += std::chrono::duration_cast<Clock::duration>(takes);
  }
};

struct FaultyNetwork::Wire {
  Wire(Socket from_client, Socket to_server, int server_rank)
      : client(std::move(from_client)), server(std::move(to_server)) {
    ways[0].to = ways[1].from = server_rank;
    ways[0].in = ways[1].out = &client;
    ways[0].out = ways[1].in = &server;
  }
  Socket client;
  Socket server;
  int channel = -1;
  std::array<Way, 2> ways;

  bool is_known() const { return channel >= 0; }
  // The ninth byte of a client's hello is its rank and channel, as forms_tcp_group numbers them.
  void learn_client(std::string_view hello) {
    if (is_known() || hello.size() < 9) return;
    const int who = static_cast<unsigned char>(hello[8]);
    ways[0].from = ways[1].to = who / 2;
    channel = who % 2;
  }
  void learn_pace(const Topology& pace) {
    for (Way& way : ways) way.bytes_per_second = pace.link(way.from, way.to).bytes_per_second;
  }
  void reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    for (Socket* socket : {&client, &server}) {
      if (*socket) setsockopt(socket->fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      socket->reset();
    }
  }
};

std::string_view name_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::none:
      return "none";
    case FaultKind::delay:
      return "delay";
    case FaultKind::crumbs:
      return "short write";
    case FaultKind::stall:
      return "stall";
    case FaultKind::drop:
      return "drop";
    case FaultKind::duplicate:
      return "duplicate";
    case FaultKind::corrupt:
      return "corrupt byte";
    case FaultKind::reset:
      return "reset";
    case FaultKind::kill:
      return "kill";
  }
  return "?";
}

class FaultyNetwork::Wires {
 public:
  Wires(const Fault& fault, std::optional<Topology> pace)
      : fault_(fault), pace_(std::move(pace)), thread_([this](const std::stop_token& stop) {
          while (!stop.stop_requested()) turn();
        }) {}

  int in_front_of(int rank, int port) {
    Socket listener = listen_tcp("127.0.0.1", 0);
    const int ours = port_of(listener);
    const std::lock_guard lock(mutex_);
    new_doors_.push_back({std::move(listener), rank, port});
    return ours;
  }
  bool has_struck() const { return struck_.load(); }

 private:
  struct Door {
    Socket listener;
    int rank;
    int port;
  };

  void turn() {
    {
      // Never while it polls: it would have the mutex again before one who waits for it wakes up.
      const std::lock_guard lock(mutex_);
      doors_.splice(doors_.end(), new_doors_);
    }
    std::vector<pollfd> entries;
    for (const Door& door : doors_) entries.push_back({door.listener.fd(), POLLIN, 0});
    for (const Wire& wire : wires_) {
      for (const Way& way : wire.ways) {
        if (way.wants_more()) entries.push_back({way.in->fd(), POLLIN, 0});
        if (way.can_write()) entries.push_back({way.out->fd(), POLLOUT, 0});
      }
    }
    poll(entries.data(), entries.size(), 2);
    for (const Door& door : doors_) admit(door);
    for (Wire& wire : wires_) {
      for (Way& way : wire.ways) carry(wire, way);
    }
    std::erase_if(wires_, [](const Wire& wire) { return !wire.client; });
  }

  void admit(const Door& door) {
    while (Socket client = accept_tcp(door.listener)) {
      std::string why;
      Socket server =
          connect_tcp("127.0.0.1", door.port, Deadline::after(std::chrono::seconds(2)), why);
      if (!server) continue;
      tune_for_data(client);
      tune_for_loopback(client);
      tune_for_data(server);
      tune_for_loopback(server);
      wires_.emplace_back(std::move(client), std::move(server), door.rank);
    }
  }

  void carry(Wire& wire, Way& way) {
    if (!wire.client) return;
    if (way.wants_more()) read(wire, way);
    if (!wire.client) return;
    write(wire, way);
    if (way.ended && way.pending.empty() && !way.closed && !way.held()) {
      shutdown(way.out->fd(), SHUT_WR);
      way.closed = true;
    }
  }

  void read(Wire& wire, Way& way) {
    char bytes[16384];
    const ssize_t got = recv(way.in->fd(), bytes, sizeof bytes, 0);
    if (got < 0) {
      if (errno != EAGAIN && errno != EINTR) wire.reset();
      return;
    }
    if (got == 0) {
      way.ended = true;
      return;
    }
    std::string news(bytes, static_cast<std::size_t>(got));
    if (&way == &wire.ways[0] && !wire.is_known()) {
      wire.learn_client(news);
      if (pace_ && wire.channel == 0) wire.learn_pace(*pace_);
    }
    const std::size_t gone = std::min(way.to_drop, news.size());
    way.to_drop -= gone;
    news.erase(0, gone);
    if (strikes(wire, way, news.size())) {
      struck_.store(true);
      strike(wire, way, news);
    }
    way.passed += static_cast<std::size_t>(got);
    way.begin_to_pace();
    way.pending += news;
  }

  bool strikes(const Wire& wire, const Way& way, std::size_t bytes) const {
    return fault_.kind != FaultKind::none && !struck_.load() && bytes != 0 && wire.is_known() &&
           wire.channel == fault_.channel && way.from == fault_.from && way.to == fault_.to &&
           way.passed + bytes > fault_.at;
  }

  void strike(Wire& wire, Way& way, std::string& news) {
    const std::size_t place = fault_.at - std::min(fault_.at, way.passed);
    const std::size_t here = std::min(place, news.size() - 1);
    const std::size_t bytes = std::min(fault_.bytes, news.size() - here);
    switch (fault_.kind) {
      case FaultKind::none:
        return;
      case FaultKind::delay:
        way.held_until = Way::Clock::now() + fault_.pause;
        return;
      case FaultKind::crumbs:
        way.crumbs = fault_.bytes;
        return;
      case FaultKind::stall:
        way.held_until = Way::Clock::time_point::max();
        return;
      case FaultKind::drop:
        way.to_drop = fault_.bytes - bytes;
        news.erase(here, bytes);
        return;
      case FaultKind::duplicate:
        news.insert(here, news.substr(here, bytes));
        return;
      case FaultKind::corrupt:
        news[here] = static_cast<char>(news[here] ^ (1 << (fault_.bytes % 8)));
        return;
      case FaultKind::reset:
        wire.reset();
        return;
      case FaultKind::kill:
        for (Wire& other : wires_) {
          if (other.ways[0].from == fault_.from || other.ways[0].to == fault_.from) other.reset();
        }
        return;
    }
  }

  static void write(Wire& wire, Way& way) {
    while (way.can_write()) {
      constexpr std::size_t kPiece = 16384;
      const std::size_t most =
          std::min(way.pending.size(), way.crumbs == 0 ? kPiece : 1 + way.crumbs % 3);
      const ssize_t sent = send(way.out->fd(), way.pending.data(), most, MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) wire.reset();
        return;
      }
      way.pending.erase(0, static_cast<std::size_t>(sent));
      way.pace(static_cast<std::size_t>(sent));
      if (way.crumbs == 0) continue;
      way.crumbs -= std::min(way.crumbs, static_cast<std::size_t>(sent));
      return;
    }
  }

  const Fault fault_;
  const std::optional<Topology> pace_;
  std::atomic<bool> struck_{false};
  std::mutex mutex_;  // guards new_doors_
  std::list<Door> new_doors_;
  std::list<Door> doors_;  // of the thread
  std::list<Wire> wires_;  // likewise
  std::jthread thread_;    // last: it uses all of the above
};

FaultyNetwork::FaultyNetwork(const Fault& fault)
    : wires_(std::make_unique<Wires>(fault, std::nullopt)) {}
FaultyNetwork::FaultyNetwork(const Topology& pace)
    : wires_(std::make_unique<Wires>(Fault{}, pace)) {}
FaultyNetwork::~FaultyNetwork() = default;
int FaultyNetwork::in_front_of(int rank, int port) { return wires_->in_front_of(rank, port); }
bool FaultyNetwork::has_struck() const { return wires_->has_struck(); }

namespace {

class DivertedStore final : public Store, public InProcess {
 public:
  explicit DivertedStore(FaultyNetwork& network) : network_(network) {}

  void set(const std::string& key, const std::string& value, Deadline deadline) override {
    const std::size_t offer = key.find("/offer/");
    store_->set(
        key, offer == std::string::npos ? value : diverted(std::stoi(key.substr(offer + 7)), value),
        deadline);
  }
  std::string get(const std::string& key, Deadline deadline) override {
    return store_->get(key, deadline);
  }
  std::optional<std::string> look(const std::string& key, Deadline deadline) override {
    return store_->look(key, deadline);
  }
  std::int64_t add(const std::string& key, std::int64_t delta, Deadline deadline) override {
    return store_->add(key, delta, deadline);
  }
  std::shared_ptr<void> share(const std::string& key,
                              const std::function<std::shared_ptr<void>()>& make) override {
    return in_process().share(key, make);
  }
  void close(const std::string& why) override { in_process().close(why); }

 private:
  InProcess& in_process() { return dynamic_cast<InProcess&>(*store_); }

  // "secret port addresses"
  std::string diverted(int rank, const std::string& offer) const {
    std::istringstream in(offer);
    std::string secret;
    std::string addresses;
    int port = 0;
    in >> secret >> port;
    std::getline(in, addresses);
    return secret + " " + std::to_string(network_.in_front_of(rank, port)) + addresses;
  }

  FaultyNetwork& network_;
  const std::shared_ptr<Store> store_ = make_memory_store();
};

}  // namespace

std::shared_ptr<Store> store_through(FaultyNetwork& network) {
  return std::make_shared<DivertedStore>(network);
}

namespace {

// What comes out of a network when a client, rank 1, sends a hello and 1000 bytes more to rank 0.
std::string carried(const Fault& fault) {
  FaultyNetwork network(fault);
  const Socket listener = listen_tcp("127.0.0.1", 0);
  std::string why;
  Socket client = connect_tcp("127.0.0.1", network.in_front_of(0, port_of(listener)), soon(), why);
  EXPECT_TRUE(client) << why;
  const std::string sent = std::string(8, 'm') + '\2' + std::string(991, 'x');
  EXPECT_TRUE(write_all(client, sent.data(), sent.size(), soon()));
  shutdown(client.fd(), SHUT_WR);
  EXPECT_TRUE(await_events(listener.fd(), POLLIN, soon()));
  const Socket server = accept_tcp(listener);
  std::string received;
  char byte = 0;
  while (read_all(server, &byte, 1, Deadline::after(std::chrono::milliseconds(300)))) {
    received += byte;
  }
  EXPECT_EQ(network.has_struck(), fault.kind != FaultKind::none);
  return received;
}

TEST(FaultyNetwork, DoesWhatTheFaultSaysAndNothingElse) {
  const std::string whole = carried({.kind = FaultKind::none, .from = 1, .to = 0});
  ASSERT_EQ(whole.size(), 1000U);
  const auto with = [](FaultKind kind, std::size_t bytes) {
    return carried({.kind = kind, .from = 1, .to = 0, .at = 500, .bytes = bytes});
  };
  EXPECT_EQ(with(FaultKind::crumbs, 90), whole);
  EXPECT_EQ(with(FaultKind::drop, 30), whole.substr(0, 970));
  EXPECT_EQ(with(FaultKind::duplicate, 30), whole + std::string(30, 'x'));
  std::string altered = whole;
  altered[500] = 'x' ^ 8;
  EXPECT_EQ(with(FaultKind::corrupt, 3), altered);
  EXPECT_LT(with(FaultKind::reset, 1).size(), 1000U);
  EXPECT_LT(with(FaultKind::kill, 1).size(), 1000U);
  EXPECT_LT(with(FaultKind::stall, 1).size(), 1000U);
}

}  // namespace
}  // namespace shoal::test
