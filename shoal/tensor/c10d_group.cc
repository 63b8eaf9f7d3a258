#include "shoal/tensor/c10d_group.h"

#include <ATen/Functions.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "shoal/comm/checks.h"
#include "shoal/core/error.h"
#include "shoal/tensor/element_types.h"

namespace shoal {
namespace {

constexpr int kMessages = 0;  // tags
constexpr int kTransfers = 1;

at::Tensor borrowed(std::byte* data, std::size_t elements, ElementType type) {
  static std::byte nothing[8];  // LibTorch wants an address for no elements, too
  return at::from_blob(elements == 0 ? nothing : data, {static_cast<std::int64_t>(elements)},
                       at::TensorOptions(scalar_type(type)));
}
at::Tensor borrowed(const Buffer& buffer) {
  return borrowed(buffer.data, buffer.elements, buffer.type);
}
at::Tensor borrowed(const ConstBuffer& buffer) {
  return borrowed(const_cast<std::byte*>(buffer.data), buffer.elements, buffer.type);
}

// What is only moved is bytes: backends know fewer types than shoal.
at::Tensor bytes_of(const ConstBuffer& buffer) {
  return borrowed(const_cast<std::byte*>(buffer.data), buffer.bytes(), ElementType::uint8);
}

// How a backend makes a reduction: on which type, by which of its own, and what to divide by.
struct Made {
  at::ScalarType type;
  c10d::ReduceOp op;
  bool divides = false;
};

c10d::ReduceOp::RedOpType own_op(ReduceOp op) {
  switch (op) {
    case ReduceOp::sum:
    case ReduceOp::mean:
      return c10d::ReduceOp::SUM;
    case ReduceOp::min:
      return c10d::ReduceOp::MIN;
    case ReduceOp::max:
      return c10d::ReduceOp::MAX;
    case ReduceOp::product:
      return c10d::ReduceOp::PRODUCT;
    case ReduceOp::bit_and:
      return c10d::ReduceOp::BAND;
    case ReduceOp::bit_or:
      return c10d::ReduceOp::BOR;
    case ReduceOp::bit_xor:
      return c10d::ReduceOp::BXOR;
  }
  return c10d::ReduceOp::SUM;
}

// Half types are summed in float32. Of truth values a sum is any, a product all. Gloo has no int16;
// what overflows in it does so on the way back.
Made made_by(at::ScalarType type, ReduceOp op) {
  Made made{type, own_op(op), op == ReduceOp::mean};
  if (type == at::kHalf || type == at::kBFloat16) made.type = at::kFloat;
  if (type == at::kShort) made.type = at::kInt;
  if (type != at::kBool) return made;
  made.type = at::kByte;
  if (op == ReduceOp::sum) made.op = c10d::ReduceOp::MAX;
  if (op == ReduceOp::product) made.op = c10d::ReduceOp::MIN;
  return made;
}

}  // namespace

C10dGroup::C10dGroup(c10::intrusive_ptr<c10d::Backend> backend, std::string name)
    : backend_(std::move(backend)),
      name_(std::move(name)),
      announced_(static_cast<std::size_t>(backend_->getSize())),
      unheard_(announced_.size()),
      sent_(announced_.size()),
      received_(announced_.size()) {}

C10dGroup::~C10dGroup() {
  const Deadline soon = Deadline::after(std::chrono::seconds(10));
  try {
    for (const std::deque<UnderWay>& messages : unheard_) {
      for (const UnderWay& message : messages) {
        if (!spent_.is_set()) wait(message.work, soon);
      }
    }
  } catch (const std::exception&) {
    // Whoever should have received it finds out by itself.
  }
}

void C10dGroup::carry_out(const Place& place, Deadline deadline,
                          const std::function<void()>& body) {
  spent_.rethrow_if_set();
  std::exception_ptr error;
  try {
    return body();
  } catch (const Error&) {
    error = std::current_exception();
  } catch (const std::exception& thrown) {
    const auto* const torch = dynamic_cast<const c10::Error*>(&thrown);
    const std::string words =
        fmt::format("{} over {}: {}", place.text(), backend_->getBackendName(),
                    torch == nullptr ? thrown.what() : torch->what_without_backtrace());
    if (torch != nullptr && words.find("support") != std::string::npos) {
      error = std::make_exception_ptr(InvalidInput(words));
    } else if (deadline.passed()) {
      error = std::make_exception_ptr(TimedOut(words, {}));
    } else {
      error = std::make_exception_ptr(PeerLost(words, {}));
    }
  }
  spent_.set(error);
  spent_.rethrow_if_set();
}

// More patient than the operation, which has the same deadline and whose words name who is missing.
void C10dGroup::wait(const WorkPtr& work, Deadline deadline) const {
  constexpr std::chrono::milliseconds kGrace{250};
  if (work) work->wait(std::max(deadline.left(), std::chrono::milliseconds(0)) + kGrace);
}

void C10dGroup::gather_words(std::int64_t* own, std::int64_t* all, std::int64_t each,
                             Deadline deadline) {
  at::Tensor in = at::from_blob(own, {each}, at::kLong);
  at::Tensor out = at::from_blob(all, {each * size()}, at::kLong);
  c10d::AllgatherOptions options;
  options.timeout = deadline.left();
  wait(backend_->_allgather_base(out, in, options), deadline);
}

Place C10dGroup::begin(const Call& call, Deadline deadline) {
  const Place place{std::string(name_of(call.operation)), ++calls_, name_};
  auto own = static_cast<std::int64_t>(call.packed());
  std::vector<std::int64_t> all(announced_.size());
  carry_out(place, deadline, [&] {
    gather_words(&own, all.data(), 1, deadline);
    if (std::all_of(all.begin(), all.end(), [&](std::int64_t word) { return word == own; })) return;
    throw calls_differ(place, std::vector<std::uint64_t>(all.begin(), all.end()));
  });
  return place;
}

void C10dGroup::sum(const at::Tensor& tensor, ReduceOp op, Deadline deadline) {
  const Made made = made_by(tensor.scalar_type(), op);
  std::vector<at::Tensor> tensors{tensor.to(made.type)};
  c10d::AllreduceOptions options;
  options.reduceOp = made.op;
  options.timeout = deadline.left();
  wait(backend_->allreduce(tensors, options), deadline);
  if (made.divides) tensors[0].div_(size());
  if (!tensors[0].is_alias_of(tensor)) tensor.copy_(tensors[0]);
  bytes_ += tensor.nbytes();
}

void C10dGroup::all_reduce(std::span<const Buffer> parts, ReduceOp op, Deadline deadline) {
  const ElementType type = parts.empty() ? ElementType::float32 : parts[0].type;
  check_reduction(Operation::all_reduce, type, op);
  std::size_t elements = 0;
  for (const Buffer& part : parts) elements += part.elements;
  const Place place = begin(
      {.operation = Operation::all_reduce, .type = type, .op = op, .elements = elements}, deadline);
  if (elements == 0) return;
  carry_out(place, deadline, [&] {
    std::vector<at::Tensor> tensors;
    for (const Buffer& part : parts) tensors.push_back(borrowed(part));
    if (tensors.size() == 1) return sum(tensors[0], op, deadline);
    // One vector, however it is cut: ranks may cut it differently.
    const at::Tensor whole = at::cat(tensors);
    sum(whole, op, deadline);
    std::int64_t at = 0;
    for (const at::Tensor& tensor : tensors) {
      tensor.copy_(whole.narrow(0, at, tensor.numel()));
      at += tensor.numel();
    }
  });
}

void C10dGroup::broadcast(Buffer data, int root, Deadline deadline) {
  check_root(Operation::broadcast, root, size());
  const Place place = begin({.operation = Operation::broadcast,
                             .type = data.type,
                             .root = root,
                             .elements = data.elements},
                            deadline);
  if (data.elements == 0) return;
  carry_out(place, deadline, [&] {
    std::vector<at::Tensor> tensors{bytes_of(data)};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    options.timeout = deadline.left();
    wait(backend_->broadcast(tensors, options), deadline);
    if (rank() == root) bytes_ += data.bytes();
  });
}

void C10dGroup::all_gather(ConstBuffer in, Buffer out, Deadline deadline) {
  check_all_gather(in, out, size());
  const Place place = begin(
      {.operation = Operation::all_gather, .type = in.type, .elements = in.elements}, deadline);
  if (in.elements == 0) return;
  carry_out(place, deadline, [&] {
    // The input may be a part of the output.
    at::Tensor given = bytes_of(in).clone();
    at::Tensor whole = bytes_of(out);
    c10d::AllgatherOptions options;
    options.timeout = deadline.left();
    wait(backend_->_allgather_base(whole, given, options), deadline);
    bytes_ += in.bytes();
  });
}

void C10dGroup::reduce_scatter(ConstBuffer in, Buffer out, ReduceOp op, Deadline deadline) {
  check_reduce_scatter(in, out, op, size());
  const Place place = begin(
      {.operation = Operation::reduce_scatter, .type = in.type, .op = op, .elements = in.elements},
      deadline);
  if (in.elements == 0) return;
  carry_out(place, deadline, [&] {
    const Made made = made_by(scalar_type(in.type), op);
    at::Tensor given = borrowed(in).to(made.type);
    const at::Tensor result = borrowed(out);
    at::Tensor own = at::empty({result.numel()}, at::TensorOptions(made.type));
    c10d::ReduceScatterOptions options;
    options.reduceOp = made.op;
    options.timeout = deadline.left();
    wait(backend_->_reduce_scatter_base(own, given, options), deadline);
    if (made.divides) own.div_(size());
    result.copy_(own);
    bytes_ += in.bytes();
  });
}

// Some backends leave the others' buffers in disorder: what is no result is a copy.
void C10dGroup::reduce(ConstBuffer in, Buffer out, int root, ReduceOp op, Deadline deadline) {
  check_reduce(in, out, root, op, rank(), size());
  const Place place = begin({.operation = Operation::reduce,
                             .type = in.type,
                             .op = op,
                             .root = root,
                             .elements = in.elements},
                            deadline);
  if (in.elements == 0) return;
  carry_out(place, deadline, [&] {
    const Made made = made_by(scalar_type(in.type), op);
    std::vector<at::Tensor> tensors{borrowed(in).to(made.type, false, /*copy=*/true)};
    c10d::ReduceOptions options;
    options.reduceOp = made.op;
    options.rootRank = root;
    options.timeout = deadline.left();
    wait(backend_->reduce(tensors, options), deadline);
    bytes_ += in.bytes();
    if (rank() != root) return;
    if (made.divides) tensors[0].div_(size());
    borrowed(out).copy_(tensors[0]);
  });
}

void C10dGroup::barrier(Deadline deadline) { begin({.operation = Operation::barrier}, deadline); }

void C10dGroup::check_sizes(const Place& place, std::span<const ConstBuffer> in,
                            std::span<const Buffer> out, Deadline deadline) {
  const std::size_t ranks = in.size();
  std::vector<std::int64_t> own;
  for (const ConstBuffer& given : in) own.push_back(static_cast<std::int64_t>(given.elements));
  std::vector<std::int64_t> table(ranks * ranks);  // row r: what rank r gives to each
  gather_words(own.data(), table.data(), static_cast<std::int64_t>(ranks), deadline);
  for (std::size_t giver = 0; giver < ranks; ++giver) {
    const auto given = static_cast<std::uint64_t>(table[giver * ranks + rank()]);
    if (given == out[giver].elements) continue;
    throw sizes_differ(place, static_cast<int>(giver), given, rank(), out[giver]);
  }
}

void C10dGroup::transfer(const Call& call, std::span<const ConstBuffer> in,
                         std::span<const Buffer> out, Deadline deadline) {
  const Place place = begin(call, deadline);
  carry_out(place, deadline, [&] {
    check_sizes(place, in, out, deadline);
    std::vector<WorkPtr> works;
    std::vector<std::vector<at::Tensor>> tensors;  // alive until all is done
    tensors.reserve(2 * in.size());
    for (int peer = 0; peer < size(); ++peer) {
      if (peer == rank() || out[peer].elements == 0) continue;
      tensors.push_back({bytes_of(out[peer])});
      works.push_back(backend_->recv(tensors.back(), peer, kTransfers));
    }
    for (int step = 1; step < size(); ++step) {
      const int peer = (rank() + step) % size();
      if (in[peer].elements == 0) continue;
      tensors.push_back({bytes_of(in[peer])});
      works.push_back(backend_->send(tensors.back(), peer, kTransfers));
      bytes_ += in[peer].bytes();
    }
    const Buffer& own = out[rank()];
    if (own.elements != 0 && own.data != in[rank()].data) {
      bytes_of(own).copy_(bytes_of(in[rank()]));
    }
    for (const WorkPtr& work : works) wait(work, deadline);
  });
}

void C10dGroup::send(ConstBuffer data, int to, Deadline deadline) {
  check_peer(to, rank(), size(), "send to");
  const Place place{fmt::format("send to rank {}", to), ++sent_[to], name_};
  carry_out(place, deadline, [&] {
    std::deque<UnderWay>& unheard = unheard_[to];
    for (; unheard.size() + 2 > kMostUnheard; unheard.pop_front()) {
      wait(unheard.front().work, deadline);
    }
    const auto give = [&](const at::Tensor& content) {
      std::vector<at::Tensor> tensors{content};
      unheard.push_back({backend_->send(tensors, to, kMessages), content});
    };
    give(at::full({1}, static_cast<std::int64_t>(MessageShape(data).packed()), at::kLong));
    if (data.elements != 0) give(bytes_of(data).clone());
    bytes_ += data.bytes();
  });
}

void C10dGroup::expect_announcement(int from) {
  UnderWay& next = announced_[from];
  if (next.work) return;
  next.content = at::zeros({1}, at::kLong);
  std::vector<at::Tensor> words{next.content};
  next.work = backend_->recv(words, from, kMessages);
}

void C10dGroup::receive(Buffer data, int from, Deadline deadline) {
  check_peer(from, rank(), size(), "receive from");
  const Place place{fmt::format("receive from rank {}", from), ++received_[from], name_};
  carry_out(place, deadline, [&] {
    expect_announcement(from);
    wait(announced_[from].work, deadline);
    announced_[from].work.reset();
    const MessageShape sent = MessageShape::unpacked(
        static_cast<std::uint64_t>(announced_[from].content.item<std::int64_t>()));
    const MessageShape asked(data);
    if (sent != asked) throw messages_differ(place, from, sent, rank(), asked);
    if (data.elements == 0) return;
    std::vector<at::Tensor> payload{bytes_of(data)};
    wait(backend_->recv(payload, from, kMessages), deadline);
  });
}

bool C10dGroup::has_message(int from) {
  check_peer(from, rank(), size(), "receive from");
  if (spent_.is_set()) return true;
  expect_announcement(from);
  return announced_[from].work->isCompleted();
}

void C10dGroup::abort() {
  spent_.set(std::make_exception_ptr(Cancelled("group " + name_ + " was aborted")));
  try {
    backend_->abort();
  } catch (const std::exception&) {
    // A backend that cannot: calls under way end at their deadlines.
  }
}

namespace {

class C10dWorld final : public World {
 public:
  C10dWorld(std::unique_ptr<World> world, C10dBackendFactory make)
      : world_(std::move(world)), make_(std::move(make)) {}
  int rank() const override { return world_->rank(); }
  int size() const override { return world_->size(); }
  int local_rank() const override { return world_->local_rank(); }
  int local_size() const override { return world_->local_size(); }
  std::vector<int> hosts() const override { return world_->hosts(); }
  Store& store() override { return world_->store(); }
  const CommOptions& options() const override { return world_->options(); }
  std::string order_of_sums(const std::vector<int>&) const override {
    return "as a c10d backend adds";
  }

  std::unique_ptr<Group> form_group(const std::string& name, const std::vector<int>& ranks,
                                    Deadline) override {
    auto group = std::make_unique<C10dGroup>(make_(name, ranks), name);
    const auto own = std::find(ranks.begin(), ranks.end(), rank());
    if (own == ranks.end() || group->rank() != static_cast<int>(own - ranks.begin()) ||
        group->size() != static_cast<int>(ranks.size())) {
      throw InvalidInput(fmt::format(
          "the backend of group {} is rank {} of {}, but the group has rank {} of {}; make it of "
          "the ranks that are asked for, in their order",
          name, group->rank(), group->size(), own - ranks.begin(), ranks.size()));
    }
    return group;
  }

 private:
  const std::unique_ptr<World> world_;
  const C10dBackendFactory make_;
};

}  // namespace

std::unique_ptr<World> over_backends(std::unique_ptr<World> world, C10dBackendFactory make) {
  return std::make_unique<C10dWorld>(std::move(world), std::move(make));
}

}  // namespace shoal
