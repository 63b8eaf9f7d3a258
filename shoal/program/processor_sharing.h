// Resources that are shared equally by whatever uses them at a moment, as fluids.
#pragma once

#include <cstdint>
#include <optional>
#include <queue>
#include <vector>

namespace shoal {

// Event-driven processor sharing. A resource of capacity c with n active works serves each of them
// at c / n. Deterministic: ends at one moment come in the order in which their works were added, a
// resource at a time. Not for use from several threads.
// Cost: O(log works) per work.
// Source: Kleinrock, Queueing Systems II, 1976, section 4.4 (processor sharing); the virtual time
// is that of Parekh and Gallager, IEEE/ACM ToN 1993.
class ProcessorSharing {
 public:
  static constexpr int kPrivate = -1;  // a "resource" that nobody shares: one unit is one second

  // Units per second, by resource; all above 0.
  explicit ProcessorSharing(const std::vector<double>& capacities);

  double now() const { return now_; }  // seconds; begins at 0

  // A work begins now: `amount` units (0 or more) on `resource`.
  void add(int resource, double amount, int tag);

  // Moves to the next end of a work and gives its tag; nothing when no work is active.
  std::optional<int> next_end();

 private:
  struct Ending {
    double at;  // virtual time of the resource
    std::int64_t order;
    int tag;
    bool operator>(const Ending& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  struct Resource {
    double capacity;
    // Units that each work active since the beginning would have got. A work of amount a that
    // begins at v ends at v + a, however many others come and go: so ends never change places.
    double virtual_time = 0;
    double last = 0;         // when virtual_time was up to date
    std::int64_t stamp = 0;  // events of an older stamp are void
    std::priority_queue<Ending, std::vector<Ending>, std::greater<>> active;
  };
  struct Event {
    double time;
    std::int64_t order;
    int resource;
    std::int64_t stamp;
    int tag;
    bool operator>(const Event& other) const {
      return time != other.time ? time > other.time : order > other.order;
    }
  };

  void advance(Resource& resource) const;
  void schedule(int index);

  std::vector<Resource> resources_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  double now_ = 0;
  std::int64_t order_ = 0;
};

}  // namespace shoal
