#include "shoal/tensor/c10d_work.h"

#include <ATen/core/ivalue.h>
#include <c10/util/Exception.h>

#include <mutex>

#include "shoal/core/error.h"

namespace shoal {
namespace {

using c10::ivalue::Future;

std::optional<std::vector<at::Tensor>> recorded(const std::vector<at::Tensor>& inputs) {
  if (inputs.empty()) return std::nullopt;
  return inputs;
}

std::shared_ptr<Ticket> new_ticket(std::string what) {
  return std::make_shared<Ticket>(
      Ticket::Terms{.what = std::move(what), .deadline = Deadline::never()});
}

std::exception_ptr dist_error(std::string text) {
  return std::make_exception_ptr(
      c10::DistBackendError({__func__, __FILE__, __LINE__}, std::move(text)));
}

}  // namespace

std::exception_ptr torch_error(const std::exception_ptr& error) {
  if (!error) return nullptr;
  try {
    std::rethrow_exception(error);
  } catch (const TimedOut& late) {
    // PyTorch has no type of its own for this: its users look for the word.
    return dist_error(std::string(late.what()) + " (a timeout of shoal)");
  } catch (const Error& ours) {
    return dist_error(ours.what());
  } catch (...) {
    return std::current_exception();
  }
}

C10dWork::C10dWork(What what, Handle handle)
    : Work(what.rank, what.type, what.title, recorded(what.inputs)),
      number_(what.number),
      outputs_(std::move(what.outputs)),
      handle_(std::move(handle)) {}

c10::intrusive_ptr<C10dWork> C10dWork::of(What what, Handle handle) {
  auto work = c10::make_intrusive<C10dWork>(std::move(what), std::move(handle));
  work->finish_with_handle();
  return work;
}

c10::intrusive_ptr<C10dWork> C10dWork::ended(What what, std::exception_ptr error) {
  const auto ticket = new_ticket("an operation");
  ticket->end(std::move(error));
  return of(std::move(what), Handle(ticket));
}

c10::intrusive_ptr<C10dWork> C10dWork::all(What what,
                                           const std::vector<c10::intrusive_ptr<C10dWork>>& works) {
  if (works.empty()) return ended(std::move(what), nullptr);
  struct Rest {
    std::mutex mutex;  // guards everything below
    std::size_t left = 0;
    std::exception_ptr error;
  };
  const auto ticket = new_ticket("a list of operations");
  const auto rest = std::make_shared<Rest>();
  rest->left = works.size();
  auto whole = c10::make_intrusive<C10dWork>(std::move(what), Handle(ticket));
  whole->parts_ = works;
  whole->finish_with_handle();
  for (const auto& work : works) {
    work->handle_.then([rest, ticket, handle = work->handle_] {
      std::unique_lock lock(rest->mutex);
      if (!rest->error) rest->error = handle.error();
      if (--rest->left != 0) return;
      lock.unlock();
      ticket->end(rest->error);
    });
  }
  return whole;
}

void C10dWork::finish_with_handle() {
  const auto self = c10::intrusive_ptr<C10dWork>::reclaim_copy(this);
  handle_.then([self] {
    self->nanoseconds_ = (std::chrono::steady_clock::now() - self->begun_).count();
    self->finish(torch_error(self->handle_.error()));
  });
}

bool C10dWork::wait(std::chrono::milliseconds timeout) {
  const bool forever = timeout == kNoTimeout || timeout.count() < 0;
  const Deadline deadline = forever ? Deadline::never() : Deadline::after(timeout);
  try {
    // Waiting for each of a list lets this thread carry them out.
    for (const auto& part : parts_) part->handle_.wait(deadline);
    handle_.wait(deadline);
  } catch (const Error&) {
    std::rethrow_exception(torch_error(std::current_exception()));
  }
  return true;
}

c10::intrusive_ptr<Future> C10dWork::getFuture() {
  const auto type = c10::ListType::create(c10::TensorType::get());
  const auto future = c10::make_intrusive<Future>(type);
  handle_.then([future, outputs = outputs_, handle = handle_] {
    if (const auto error = torch_error(handle.error())) {
      future->setError(error);
    } else {
      future->markCompleted(at::IValue(outputs));
    }
  });
  return future;
}

c10::intrusive_ptr<Future> C10dWork::getFutureResult() {
  const auto future = c10::make_intrusive<Future>(c10::IntType::get());
  handle_.then([future, handle = handle_] {
    auto result = c10d::WorkResult::SUCCESS;
    try {
      if (handle.error()) std::rethrow_exception(handle.error());
    } catch (const TimedOut&) {
      result = c10d::WorkResult::TIMEOUT;
    } catch (...) {
      result = c10d::WorkResult::COMM_ERROR;
    }
    future->markCompleted(at::IValue(static_cast<std::int64_t>(result)));
  });
  return future;
}

float C10dWork::getDuration() const { return static_cast<float>(nanoseconds_) / 1e6F; }

}  // namespace shoal
