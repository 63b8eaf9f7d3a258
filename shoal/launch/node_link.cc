#include "shoal/launch/node_link.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "shoal/core/cores.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kBetweenLooks{250};
constexpr std::chrono::seconds kOneExchange{5};
constexpr int kLostNode = 3;

std::string gone_key(int node) { return fmt::format("launch/gone/{}", node); }

Deadline soon() { return Deadline::after(kOneExchange); }

std::string to_text(const Failure& failure) {
  return nlohmann::json({{"rank", failure.rank},
                         {"exit_code", failure.exit_code},
                         {"sentence", failure.sentence},
                         {"own_words", failure.own_words},
                         {"consequence", failure.consequence}})
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Failure failure_from(const std::string& text) {
  const auto value = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) return {.rank = -1, .exit_code = kLostNode, .sentence = "a node failed"};
  return {.rank = value.value("rank", -1),
          .exit_code = value.value("exit_code", kLostNode),
          .sentence = value.value("sentence", "a node failed"),
          .own_words = value.value("own_words", ""),
          .consequence = value.value("consequence", false)};
}

}  // namespace

NodeLink::NodeLink(std::shared_ptr<Store> store, NodeLinkOptions options, Deadline deadline)
    : store_(std::move(store)), options_(options), join_until_(Deadline::after(options.join)) {
  announce(deadline);
  if (options_.node == 0) {
    others_.assign(static_cast<std::size_t>(options_.nodes), Neighbour{.changed = Clock::now()});
  }
  thread_ = std::jthread([this](const std::stop_token& end) { watch(end); });
}

NodeLink::~NodeLink() {
  thread_.request_stop();
  wake_.notify_all();
}

void NodeLink::announce(Deadline deadline) {
  const std::string shape = fmt::format("{} workers on {} nodes", options_.workers, options_.nodes);
  if (options_.node == 0) store_->set("launch/shape", shape, deadline);
  const std::string expected = store_->get("launch/shape", deadline);
  if (expected != shape) {
    throw InvalidInput(fmt::format(
        "this launcher (node {}) was started for {}, node 0 for {}: give all the same -n and "
        "--nodes",
        options_.node, shape, expected));
  }
  if (store_->add(fmt::format("launch/node/{}", options_.node), 1, deadline) != 1) {
    throw InvalidInput(fmt::format(
        "another launcher is node {} already: give every launcher a --node-rank of its own",
        options_.node));
  }
  store_->set_when_gone(gone_key(options_.node), "gone", deadline);
}

void NodeLink::watch(const std::stop_token& end) {
  name_this_thread("shoal-nodes");
  while (!end.stop_requested()) {
    try {
      look_around();
    } catch (const Error& error) {
      note_failure({.rank = -1,
                    .exit_code = kLostNode,
                    .sentence = fmt::format("the launcher of node 0 is gone ({})", error.what())});
      const std::lock_guard lock(mutex_);
      store_is_gone_ = true;
      return;
    }
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, end, kBetweenLooks, [] { return false; });
  }
}

void NodeLink::look_around() {
  store_->add(fmt::format("launch/beat/{}", options_.node), 1, soon());
  for (const char* key : {"launch/failed", "launch/cause"}) {
    if (const auto failed = store_->look(key, soon())) note_failure(failure_from(*failed));
  }
  if (const auto stop = store_->look("launch/stop", soon())) {
    int signal_number = 0;
    std::from_chars(stop->data(), stop->data() + stop->size(), signal_number);
    const std::lock_guard lock(mutex_);
    stop_signal_ = signal_number;
  }
  if (options_.node != 0) return;
  for (int node = 1; node < options_.nodes; ++node) look_at(node, Clock::now());
}

// Node 0's view of another launcher.
void NodeLink::look_at(int node, Clock::time_point now) {
  const bool done = store_->look(fmt::format("launch/done/{}", node), soon()).has_value();
  const bool gone = !done && store_->look(gone_key(node), soon()).has_value();
  const auto beat = store_->add(fmt::format("launch/beat/{}", node), 0, soon());
  std::optional<std::string> loss;
  {
    const std::lock_guard lock(mutex_);
    Neighbour& other = others_[static_cast<std::size_t>(node)];
    other.done = done;
    if (beat != other.beat) {
      other.beat = beat;
      other.changed = now;
    }
    if (done || other.lost) return;
    loss = loss_of(other, node, gone, now);
    other.lost = loss.has_value();
  }
  if (loss) tell_failure({.rank = -1, .exit_code = kLostNode, .sentence = *loss});
}

// Why the launcher counts as lost, if it does. Called with the mutex held.
std::optional<std::string> NodeLink::loss_of(const Neighbour& other, int node, bool gone,
                                             Clock::time_point now) const {
  const auto in_seconds = [](milliseconds time) {
    return static_cast<double>(time.count()) / 1000;
  };
  if (gone) return fmt::format("the launcher of node {} is gone", node);
  if (other.beat == 0) {
    if (!join_until_.passed()) return std::nullopt;
    return fmt::format("the launcher of node {} has not joined after {:.3g} s", node,
                       in_seconds(options_.join));
  }
  if (now - other.changed <= options_.silence) return std::nullopt;
  return fmt::format("nothing was heard from the launcher of node {} for {:.3g} s", node,
                     in_seconds(options_.silence));
}

void NodeLink::note_failure(Failure failure) {
  const std::lock_guard lock(mutex_);
  if (!failure_ || (failure_->consequence && !failure.consequence)) failure_ = std::move(failure);
}

void NodeLink::tell_failure(const Failure& failure) {
  note_failure(failure);
  try {
    // The first one of its kind counts, for all nodes.
    const std::string key = failure.consequence ? "launch/failed" : "launch/cause";
    if (store_->add(key + "/count", 1, soon()) == 1) store_->set(key, to_text(failure), soon());
  } catch (const Error&) {
    // The store is gone, and the other launchers know by that.
  }
}

void NodeLink::tell_stop(int signal_number) {
  try {
    store_->set("launch/stop", std::to_string(signal_number), soon());
  } catch (const Error&) {
  }
}

void NodeLink::tell_done() {
  try {
    store_->set(fmt::format("launch/done/{}", options_.node), "", soon());
    store_->set_when_gone(gone_key(options_.node), "", soon());
  } catch (const Error&) {
  }
}

std::optional<Failure> NodeLink::failure() {
  const std::lock_guard lock(mutex_);
  return failure_;
}

int NodeLink::stop_signal() {
  const std::lock_guard lock(mutex_);
  return stop_signal_;
}

bool NodeLink::is_needed() {
  const std::lock_guard lock(mutex_);
  if (options_.node != 0 || store_is_gone_) return false;
  // Who has not come yet finds out by itself that the job has ended.
  const bool is_ending = failure_ || stop_signal_ != 0;
  return std::any_of(others_.begin() + 1, others_.end(), [&](const Neighbour& other) {
    return !other.done && !other.lost && !(is_ending && other.beat == 0);
  });
}

}  // namespace shoal
