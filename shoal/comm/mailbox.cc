#include "shoal/comm/mailbox.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "shoal/comm/yielding.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

struct Envelope {
  std::int64_t tag = 0;
  std::uint32_t type = 0;
  std::uint32_t unused = 0;
  std::uint64_t elements = 0;
};

// Between two looks at all senders. The first ones come at once, then it gives the core away.
void pause_between_looks(int looks, Yielding& yielding) {
  const auto now = Yielding::Clock::now();
  if (looks < 100 && yielding.pays(now)) {
    yielding.yield(now);
  } else {
    std::this_thread::sleep_for(std::chrono::microseconds(std::min(looks, 1000)));
  }
}

}  // namespace

void Mailbox::hand_over(const Post& post, const Letter& letter, int from) {
  const Buffer& asked = post.data;
  if (letter.elements != asked.elements || letter.type != asked.type) {
    post.ticket->end(std::make_exception_ptr(InvalidInput(fmt::format(
        "a message with tag {}: rank {} sent {} x {}, but {} x {} was asked for", letter.tag, from,
        letter.elements, name_of(letter.type), asked.elements, name_of(asked.type)))));
    return;
  }
  if (!letter.bytes.empty()) std::memcpy(asked.data, letter.bytes.data(), letter.bytes.size());
  post.ticket->end(nullptr, from);
}

Mailbox::Mailbox(Group& group, const OpenCount& open)
    : group_(group),
      open_(open),
      letters_(static_cast<std::size_t>(group.size())),
      any_(std::make_shared<Lane>("mail", open)) {
  for (int peer = 0; peer < group.size(); ++peer) {
    out_.push_back(std::make_shared<Lane>(fmt::format("send{}", peer), open));
    in_.push_back(std::make_shared<Lane>(fmt::format("receive{}", peer), open));
  }
}

Mailbox::~Mailbox() {
  // The one that looks at all senders ends when there is no receive for it any more.
  std::list<std::shared_ptr<Post>> dropped;
  {
    const std::lock_guard lock(mutex_);
    dropped.swap(posts_);
  }
  for (const auto& post : dropped) {
    post->ticket->end(std::make_exception_ptr(Cancelled("its group was destroyed")));
  }
  any_->stop();
  for (const auto& lane : out_) lane->stop();
  for (const auto& lane : in_) lane->stop();
}

Handle Mailbox::send(ConstBuffer data, int to, std::int64_t tag, Deadline deadline) {
  const auto call = [this, data, to, tag, deadline] {
    const Envelope envelope{tag, static_cast<std::uint32_t>(data.type), 0, data.elements};
    group_.send(
        {reinterpret_cast<const std::byte*>(&envelope), sizeof envelope, ElementType::uint8}, to,
        deadline);
    if (data.elements != 0) group_.send(data, to, deadline);
  };
  return out_[to]->start(fmt::format("send to rank {}", to), call, deadline, Lane::Start::lazily);
}

Handle Mailbox::receive(Buffer data, int from, std::int64_t tag, Deadline deadline) {
  const bool any = from == kAnySource;
  const auto post = std::make_shared<Post>(Post{data, from, tag, nullptr});
  post->ticket = std::make_shared<Ticket>(Ticket::Terms{
      .what = any ? "receive from any rank" : fmt::format("receive from rank {}", from),
      .deadline = deadline,
      .ends_itself = false,
      .lane = any ? std::weak_ptr<Lane>() : in_[from],
      .awaited = any ? std::vector<int>{} : std::vector<int>{from},
      .open = open_});
  const Handle handle(post->ticket);
  std::optional<std::pair<Letter, int>> kept;
  {
    const std::lock_guard lock(mutex_);
    kept = take_kept(*post);
    if (!kept) posts_.push_back(post);
  }
  if (kept) {
    hand_over(*post, kept->first, kept->second);
  } else if (any) {
    any_->add([this, handle](Deadline) { watch_all(handle); }, Lane::Start::now);
  } else {
    read_on(from);
  }
  return handle;
}

std::optional<std::pair<Mailbox::Letter, int>> Mailbox::take_kept(const Post& post) {
  for (int sender = 0; sender < static_cast<int>(letters_.size()); ++sender) {
    std::deque<Letter>& kept = letters_[sender];
    const auto found = std::find_if(kept.begin(), kept.end(), [&](const Letter& letter) {
      return post.matches(sender, letter.tag);
    });
    if (found == kept.end()) continue;
    std::pair<Letter, int> taken{std::move(*found), sender};
    kept.erase(found);
    return taken;
  }
  return std::nullopt;
}

std::shared_ptr<Mailbox::Post> Mailbox::take_post(int from, std::int64_t tag) {
  const auto found = std::find_if(posts_.begin(), posts_.end(),
                                  [&](const auto& post) { return post->matches(from, tag); });
  if (found == posts_.end()) return nullptr;
  std::shared_ptr<Post> post = std::move(*found);
  posts_.erase(found);
  return post;
}

bool Mailbox::awaits(int from) const {
  return std::any_of(posts_.begin(), posts_.end(),
                     [&](const auto& post) { return post->from == from; });
}

void Mailbox::read_on(int from) {
  const auto work = [this, from](Deadline limit) {
    {
      // The receive that this was started for may have got its letter meanwhile.
      const std::lock_guard lock(mutex_);
      if (!awaits(from)) return;
    }
    receive_letter(from, limit);
  };
  in_[from]->add(work, Lane::Start::lazily);
}

// One message, whoever it is for. In the lane of its sender, so one at a time.
void Mailbox::receive_letter(int from, Deadline limit) {
  std::shared_ptr<Post> post;
  Letter letter;
  try {
    receive_body(from, letter, post, limit);
  } catch (...) {
    if (post) post->ticket->end(std::current_exception());
    fail_posts(from, std::current_exception());
    return;
  }
  if (post) {
    hand_over(*post, letter, from);
    return;
  }
  const std::lock_guard lock(mutex_);
  if (awaits(from)) read_on(from);
}

// Leaves `post` null when nobody has asked for the letter yet, which then is kept.
void Mailbox::receive_body(int from, Letter& letter, std::shared_ptr<Post>& post, Deadline limit) {
  Envelope envelope;
  const ElementType raw = ElementType::uint8;
  group_.receive({reinterpret_cast<std::byte*>(&envelope), sizeof envelope, raw}, from, limit);
  letter.tag = envelope.tag;
  letter.type = static_cast<ElementType>(envelope.type);
  letter.elements = envelope.elements;
  {
    const std::lock_guard lock(mutex_);
    post = take_post(from, letter.tag);
  }
  const bool fits =
      post && post->data.elements == letter.elements && post->data.type == letter.type;
  if (letter.elements != 0 && fits) {
    group_.receive(post->data, from, limit);
  } else if (letter.elements != 0) {
    letter.bytes.resize(letter.elements * size_of(letter.type));
    group_.receive({letter.bytes.data(), letter.elements, letter.type}, from, limit);
  }
  if (post) return;
  const std::lock_guard lock(mutex_);
  post = take_post(from, letter.tag);  // it may have come while the letter was read
  if (!post) letters_[from].push_back(std::move(letter));
}

void Mailbox::fail_posts(int from, const std::exception_ptr& error) {
  std::list<std::shared_ptr<Post>> failed;
  {
    const std::lock_guard lock(mutex_);
    for (auto post = posts_.begin(); post != posts_.end();) {
      const auto here = post++;
      if ((*here)->from == from || (*here)->from == kAnySource) {
        failed.splice(failed.end(), posts_, here);
      }
    }
  }
  for (const auto& post : failed) post->ticket->end(error);
}

// Reads from whoever has sent something, until the receive is over.
void Mailbox::watch_all(const Handle& handle) {
  Yielding yielding;
  for (int looks = 0; !handle.over(); ++looks) {
    for (int peer = 0; peer < group_.size() && !handle.over(); ++peer) {
      if (peer == group_.rank() || !in_[peer]->idle() || !group_.has_message(peer)) continue;
      in_[peer]->run([&] {
        if (group_.has_message(peer)) receive_letter(peer, Deadline::never());
      });
      looks = 0;
    }
    pause_between_looks(looks, yielding);
  }
}

}  // namespace shoal
