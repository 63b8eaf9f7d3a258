// Point-to-point messages that go on by themselves, carry a tag, and may be received from anybody.
#pragma once

#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "shoal/comm/group.h"
#include "shoal/comm/handle.h"
#include "shoal/comm/lane.h"

namespace shoal {

inline constexpr int kAnySource = -1;

// Over a group's send and receive, which nobody else may use meanwhile: before each message goes an
// envelope of 16 bytes that tells its tag and size. Messages of one sender and one tag are received
// in the order in which they were sent. One that nobody has asked for yet waits in memory of the
// receiver, once something else is received from its sender. Any thread.
class Mailbox {
 public:
  // Operations are counted in `open`.
  Mailbox(Group& group, const OpenCount& open);
  // While any is open, abort the group first: what waits for a peer waits on.
  ~Mailbox();

  // The memory stays the caller's until the handle is over, and must stay valid until then.
  // Ends once the memory may be used again, which may be before the peer receives.
  Handle send(ConstBuffer data, int to, std::int64_t tag, Deadline deadline);
  // `from` may be kAnySource; the handle tells whose message it was. Fails with InvalidInput
  // naming both sizes when another one came.
  Handle receive(Buffer data, int from, std::int64_t tag, Deadline deadline);

 private:
  struct Letter {
    std::int64_t tag = 0;
    ElementType type = ElementType::uint8;
    std::uint64_t elements = 0;
    std::vector<std::byte> bytes;
  };
  struct Post {  // a receive that waits for its letter
    Buffer data;
    int from;
    std::int64_t tag;
    std::shared_ptr<Ticket> ticket;
    bool matches(int sender, std::int64_t letter_tag) const {
      return (from == sender || from == kAnySource) && tag == letter_tag;
    }
  };

  // Ends the post: with the letter's bytes (when they are not there yet) or with what does not fit.
  static void hand_over(const Post& post, const Letter& letter, int from);

  // With mutex_. Tickets are ended without it: what they call may come back here.
  std::optional<std::pair<Letter, int>> take_kept(const Post& post);
  std::shared_ptr<Post> take_post(int from, std::int64_t tag);
  bool awaits(int from) const;  // that very one

  void read_on(int from);
  void receive_letter(int from, Deadline limit);
  void receive_body(int from, Letter& letter, std::shared_ptr<Post>& post, Deadline limit);
  void fail_posts(int from, const std::exception_ptr& error);
  void watch_all(const Handle& handle);

  Group& group_;
  const OpenCount open_;
  std::mutex mutex_;                         // guards the next two
  std::vector<std::deque<Letter>> letters_;  // by sender, in order, that nobody has asked for yet
  std::list<std::shared_ptr<Post>> posts_;   // in order
  std::vector<std::shared_ptr<Lane>> out_;   // by receiver
  std::vector<std::shared_ptr<Lane>> in_;    // by sender
  std::shared_ptr<Lane> any_;
};

}  // namespace shoal
