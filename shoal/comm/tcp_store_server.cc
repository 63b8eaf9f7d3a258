// The server of the TCP store: one thread and poll. A visitor that has not proved the secret gets a
// few bytes of memory and ten seconds; a client that does not read its answers is dropped when they
// pile up.
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <list>
#include <map>
#include <thread>
#include <vector>

#include "shoal/comm/handshake.h"
#include "shoal/comm/store.h"
#include "shoal/comm/store_protocol.h"
#include "shoal/comm/tcp_socket.h"
#include "shoal/core/cores.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

using std::chrono::milliseconds;
constexpr std::chrono::seconds kHandshake{10};
constexpr std::size_t kMostClients = 16384;
constexpr std::size_t kMostStrangers = 1024;  // that have not proved the secret
constexpr std::size_t kMostUnread = std::size_t{64} << 20;
constexpr std::size_t kMostKept = std::size_t{1} << 30;  // bytes of all values together

struct Client {
  Client(Socket connection, const std::string& secret)
      : socket(std::move(connection)), keeper(secret), give_up(Deadline::after(kHandshake)) {
    out = keeper.greeting();
  }
  Socket socket;
  Doorkeeper keeper;
  Deadline give_up;  // for the handshake
  bool admitted = false;
  bool closing = false;
  StoreMessageReader in;
  std::string out;
  std::size_t out_begin = 0;
  std::map<std::string, std::string> when_gone;
};

struct Waiting {
  Client* client;
  std::uint32_t request;
  std::string key;
  Deadline until;
};

class TcpStoreServer final : public StoreServer {
 public:
  TcpStoreServer(Socket listener, std::string secret)
      : listener_(std::move(listener)),
        port_(port_of(listener_)),
        secret_(std::move(secret)),
        wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        thread_([this](const std::stop_token& stop) { serve(stop); }) {}
  ~TcpStoreServer() override {
    thread_.request_stop();
    eventfd_write(wake_.fd(), 1);
  }

  int port() const override { return port_; }

 private:
  void serve(const std::stop_token& stop) {
    name_this_thread("shoal-store");
    std::vector<pollfd> entries;
    while (!stop.stop_requested()) {
      entries.clear();
      entries.push_back({wake_.fd(), POLLIN, 0});
      const short accepting = clients_.size() < kMostClients ? POLLIN : 0;
      entries.push_back({listener_.fd(), accepting, 0});
      for (const Client& client : clients_) {
        const bool writing = client.out_begin < client.out.size();
        entries.push_back(
            {client.socket.fd(), static_cast<short>(POLLIN | (writing ? POLLOUT : 0)), 0});
      }
      poll(entries.data(), entries.size(), static_cast<int>(next_deadline().count()));
      std::size_t entry = 2;
      for (auto client = clients_.begin(); client != clients_.end(); ++entry) {
        const auto here = client++;
        if (!turn(*here, entries[entry].revents)) drop(here);
      }
      if ((entries[1].revents & POLLIN) != 0) accept_all();
      forget_late_waits();
    }
  }

  // Something has to be looked at by then although no byte arrives.
  milliseconds next_deadline() const {
    milliseconds left{3'600'000};
    for (const Waiting& waiting : waiting_) left = std::min(left, waiting.until.left());
    for (const Client& client : clients_) {
      if (!client.admitted) left = std::min(left, client.give_up.left());
    }
    return left;
  }

  void accept_all() {
    while (Socket socket = accept_tcp(listener_)) {
      tune_for_data(socket);
      clients_.emplace_back(std::move(socket), secret_);
      ++strangers_;
      write(clients_.back());
    }
    // Workers prove it within milliseconds, so the oldest strangers are hardly some.
    for (auto client = clients_.begin(); strangers_ > kMostStrangers;) {
      const auto here = client++;
      if (!here->admitted) drop(here);
    }
  }

  // False when the client is to be dropped.
  bool turn(Client& client, short events) {
    if (!client.admitted && client.give_up.passed()) return false;
    try {
      if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && !read(client)) return false;
    } catch (const Error&) {
      return false;  // not one of ours
    }
    if ((events & POLLOUT) != 0 && !write(client)) return false;
    return !(client.closing && client.out_begin == client.out.size());
  }

  bool read(Client& client) {
    char bytes[65536];
    std::size_t most = sizeof bytes;
    if (!client.admitted) most = std::min(most, client.keeper.bytes_missing());
    const ssize_t got = recv(client.socket.fd(), bytes, most, 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    const std::string_view text(bytes, static_cast<std::size_t>(got));
    if (client.closing) return true;
    if (client.admitted) {
      client.in.take(text);
      while (const auto message = client.in.next()) answer(client, *message);
      return write(client);
    }
    const Doorkeeper::Verdict verdict = client.keeper.take(text);
    if (verdict == Doorkeeper::Verdict::more) return true;
    client.out += client.keeper.answer();
    client.admitted = verdict == Doorkeeper::Verdict::accepted;
    if (client.admitted) --strangers_;
    client.closing = !client.admitted;
    return write(client) && !(client.closing && client.out_begin == client.out.size());
  }

  bool write(Client& client) {
    while (client.out_begin < client.out.size()) {
      const ssize_t sent = send(client.socket.fd(), client.out.data() + client.out_begin,
                                client.out.size() - client.out_begin, MSG_NOSIGNAL);
      if (sent < 0) {
        return (errno == EAGAIN || errno == EINTR) &&
               client.out.size() - client.out_begin < kMostUnread;
      }
      client.out_begin += static_cast<std::size_t>(sent);
    }
    client.out.clear();
    client.out_begin = 0;
    return true;
  }

  void reply(Client& client, StoreMessage message, std::uint32_t request) {
    message.request = request;
    client.out += encoded(message);
  }

  void answer(Client& client, const StoreMessage& asked) {
    switch (asked.kind) {
      case StoreMessageKind::set:
        reply(client, keep(asked.key, asked.value), asked.request);
        return;
      case StoreMessageKind::get:
      case StoreMessageKind::look: {
        const auto found = values_.find(asked.key);
        if (found != values_.end()) {
          reply(client, {.kind = StoreMessageKind::found, .value = found->second}, asked.request);
        } else if (asked.kind == StoreMessageKind::look) {
          reply(client, {.kind = StoreMessageKind::absent}, asked.request);
        } else {
          waiting_.push_back({&client, asked.request, asked.key,
                              Deadline::after(milliseconds(std::max<std::int64_t>(
                                  0, std::min<std::int64_t>(asked.number, 86'400'000))))});
        }
        return;
      }
      case StoreMessageKind::add: {
        const std::string& old = values_[asked.key];
        const std::int64_t sum =
            (old.empty() ? 0 : std::strtoll(old.c_str(), nullptr, 10)) + asked.number;
        StoreMessage kept = keep(asked.key, std::to_string(sum));
        kept.number = sum;
        reply(client, std::move(kept), asked.request);
        return;
      }
      case StoreMessageKind::when_gone:
        if (asked.value.empty()) {
          client.when_gone.erase(asked.key);
        } else {
          client.when_gone[asked.key] = asked.value;
        }
        reply(client, {.kind = StoreMessageKind::found}, asked.request);
        return;
      case StoreMessageKind::found:
      case StoreMessageKind::absent:
      case StoreMessageKind::refused:
        reply(client, {.kind = StoreMessageKind::refused, .value = "that is an answer"},
              asked.request);
        return;
    }
  }

  // Stores a value and serves those who wait for it.
  StoreMessage keep(const std::string& key, const std::string& value) {
    std::string& place = values_[key];
    if (kept_ - place.size() + value.size() > kMostKept) {
      return {.kind = StoreMessageKind::refused,
              .value = "the store holds 1 GiB and takes no more"};
    }
    kept_ += value.size() - place.size();
    place = value;
    std::erase_if(waiting_, [&](const Waiting& waiting) {
      if (waiting.key != key) return false;
      reply(*waiting.client, {.kind = StoreMessageKind::found, .value = value}, waiting.request);
      write(*waiting.client);
      return true;
    });
    return {.kind = StoreMessageKind::found};
  }

  void drop(std::list<Client>::iterator client) {
    std::erase_if(waiting_, [&](const Waiting& waiting) { return waiting.client == &*client; });
    if (!client->admitted) --strangers_;
    const auto last_words = std::move(client->when_gone);
    clients_.erase(client);
    for (const auto& [key, value] : last_words) keep(key, value);
  }

  // Their clients have given up by themselves.
  void forget_late_waits() {
    std::erase_if(waiting_, [](const Waiting& waiting) { return waiting.until.passed(); });
  }

  // Everything but port_ and wake_ belongs to the thread.
  Socket listener_;
  const int port_;
  const std::string secret_;
  Socket wake_;
  std::list<Client> clients_;  // a list: Waiting points to its elements
  std::size_t strangers_ = 0;  // of them, not admitted
  std::list<Waiting> waiting_;
  std::map<std::string, std::string> values_;
  std::size_t kept_ = 0;
  std::jthread thread_;
};

}  // namespace

std::unique_ptr<StoreServer> serve_store(const std::string& address, int port,
                                         const std::string& secret) {
  return std::make_unique<TcpStoreServer>(listen_tcp(address.empty() ? "127.0.0.1" : address, port),
                                          secret);
}

}  // namespace shoal
