// A client of the TCP store. Callers write their requests themselves; a thread reads the answers
// and hands each to the caller that waits for it, so a blocking get holds up nobody else.
#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "shoal/comm/handshake.h"
#include "shoal/comm/store.h"
#include "shoal/comm/store_limits.h"
#include "shoal/comm/store_protocol.h"
#include "shoal/comm/tcp_socket.h"
#include "shoal/core/cores.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

using std::chrono::milliseconds;

class TcpStoreClient final : public Store {
 public:
  TcpStoreClient(Socket socket, std::string where)
      : socket_(std::move(socket)),
        where_(std::move(where)),
        address_(address_of(socket_)),
        thread_([this] { read_answers(); }) {}
  ~TcpStoreClient() override { shutdown(socket_.fd(), SHUT_RDWR); }

  void set(const std::string& key, const std::string& value, Deadline deadline) override {
    check_value(key, value);
    ask({.kind = StoreMessageKind::set, .key = key, .value = value}, deadline);
  }
  std::string get(const std::string& key, Deadline deadline) override {
    return ask({.kind = StoreMessageKind::get, .number = deadline.left().count(), .key = key},
               deadline)
        .value;
  }
  std::optional<std::string> look(const std::string& key, Deadline deadline) override {
    StoreMessage answer = ask({.kind = StoreMessageKind::look, .key = key}, deadline);
    if (answer.kind == StoreMessageKind::absent) return std::nullopt;
    return std::move(answer.value);
  }
  std::int64_t add(const std::string& key, std::int64_t delta, Deadline deadline) override {
    return ask({.kind = StoreMessageKind::add, .number = delta, .key = key}, deadline).number;
  }
  void set_when_gone(const std::string& key, const std::string& value, Deadline deadline) override {
    check_value(key, value);
    ask({.kind = StoreMessageKind::when_gone, .key = key, .value = value}, deadline);
  }
  std::string local_address() const override { return address_; }

 private:
  struct Answer {
    bool here = false;
    StoreMessage message;
  };

  StoreMessage ask(StoreMessage message, Deadline deadline) {
    check_key(message.key);
    Answer answer;
    {
      const std::lock_guard lock(mutex_);
      message.request = ++requests_;
      answers_[message.request] = &answer;
    }
    const bool sent = write(encoded(message), deadline);
    std::unique_lock lock(mutex_);
    const auto forget = [&] { answers_.erase(message.request); };
    while (!answer.here && !gone_ && sent && !deadline.passed()) {
      answered_.wait_for(lock, deadline.left());
    }
    forget();
    if (answer.here) {
      if (answer.message.kind == StoreMessageKind::refused) {
        throw InvalidInput(fmt::format("the store at {} refused key \"{}\": {}", where_,
                                       message.key, answer.message.value));
      }
      return std::move(answer.message);
    }
    if (gone_ || !deadline.passed())
      throw PeerLost(fmt::format("the store at {} is gone", where_), {});
    if (message.kind == StoreMessageKind::get) {
      throw TimedOut(fmt::format("nobody has set key \"{}\" of the store at {} within {} ms",
                                 message.key, where_, deadline.waited().count()),
                     {});
    }
    throw TimedOut(fmt::format("the store at {} did not answer within {} ms", where_,
                               deadline.waited().count()),
                   {});
  }

  // One request after the other; false when the server is gone or time is up.
  bool write(const std::string& bytes, Deadline deadline) {
    {
      std::unique_lock lock(mutex_);
      while (writing_ && !deadline.passed()) written_.wait_for(lock, deadline.left());
      if (writing_) return false;
      writing_ = true;
    }
    const bool sent = write_all(socket_, bytes.data(), bytes.size(), deadline);
    // Half a request may be out: then the connection cannot be used any more.
    if (!sent) shutdown(socket_.fd(), SHUT_RDWR);
    const std::lock_guard lock(mutex_);
    writing_ = false;
    written_.notify_one();
    return sent;
  }

  void read_answers() {
    name_this_thread("shoal-client");
    StoreMessageReader reader;
    std::string bytes(65536, '\0');
    for (;;) {
      const ssize_t got = recv(socket_.fd(), bytes.data(), bytes.size(), 0);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        await_events(socket_.fd(), POLLIN, Deadline::never());
        continue;
      }
      if (got <= 0) break;
      reader.take(std::string_view(bytes.data(), static_cast<std::size_t>(got)));
      try {
        while (auto message = reader.next()) deliver(std::move(*message));
      } catch (const Error&) {
        break;  // whatever it is, it does not speak as our server does
      }
    }
    const std::lock_guard lock(mutex_);
    gone_ = true;
    answered_.notify_all();
  }

  void deliver(StoreMessage message) {
    const std::lock_guard lock(mutex_);
    const auto found = answers_.find(message.request);
    if (found == answers_.end()) return;  // its caller has given up
    found->second->message = std::move(message);
    found->second->here = true;
    answered_.notify_all();
  }

  const Socket socket_;
  const std::string where_;
  const std::string address_;
  std::mutex mutex_;      // guards everything below
  bool writing_ = false;  // somebody has the sending side of socket_
  std::condition_variable written_;
  std::condition_variable answered_;
  std::map<std::uint32_t, Answer*> answers_;
  std::uint32_t requests_ = 0;
  bool gone_ = false;
  std::jthread thread_;
};

}  // namespace

std::shared_ptr<Store> connect_store(const std::string& address, int port,
                                     const std::string& secret, Deadline deadline) {
  const std::string where = fmt::format("{}:{}", address, port);
  std::string why = "no attempt was made";
  milliseconds pause{10};
  for (;;) {
    const Deadline attempt = Deadline::after(std::min(deadline.left(), milliseconds(5000)));
    Socket socket = connect_tcp(address, port, attempt, why);
    if (socket) {
      tune_for_data(socket);
      switch (ask_admission(socket, secret, 0, attempt)) {
        case Admission::admitted:
          return std::make_shared<TcpStoreClient>(std::move(socket), where);
        case Admission::refused:
          throw InvalidInput(
              fmt::format("the store at {} does not share this job's secret; give "
                          "all workers the same one",
                          where));
        case Admission::not_a_server:
          throw InvalidInput(
              fmt::format("what answers at {} is not a shoal store; check address "
                          "and port",
                          where));
        case Admission::gone:
          why = "it closed the connection";
          break;
      }
    }
    if (deadline.passed()) {
      throw TimedOut(fmt::format("no store answers at {} after {} ms: {}", where,
                                 deadline.waited().count(), why),
                     {});
    }
    // The server may start later, and nothing tells us when.
    std::this_thread::sleep_for(std::min(pause, deadline.left()));
    pause = std::min(pause * 2, milliseconds(200));
  }
}

}  // namespace shoal
