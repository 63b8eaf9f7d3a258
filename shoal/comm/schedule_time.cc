#include "shoal/comm/schedule_time.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <queue>

#include "shoal/comm/frame_run.h"
#include "shoal/core/check.h"
#include "shoal/core/error.h"
#include "shoal/core/partition.h"

namespace shoal {
namespace {

class Flow {
 public:
  Flow(const Schedule& schedule, const Topology& topology, std::int64_t elements,
       std::int64_t element_bytes)
      : schedule_(schedule), topology_(topology), element_bytes_(element_bytes) {
    check_equal(topology.size(), schedule.size, "ranks of the topology and of the schedule");
    const auto size = static_cast<std::size_t>(schedule.size);
    into_.resize(size * static_cast<std::size_t>(schedule.chunks));
    out_of_.resize(into_.size());
    links_.resize(size * size);
    time_.busy.assign(size, std::vector<double>(size));
    cut(elements);
    for (std::size_t i = 0; i < schedule.transfers.size(); ++i) enter(static_cast<int>(i));
  }

  ScheduleTime run() {
    begin();
    while (!events_.empty()) {
      const Event event = events_.top();
      events_.pop();
      time_.seconds = event.at;
      if (event.arrives) {
        arrived(event.task);
      } else {
        Way& way = way_of(event.task);
        way.busy = false;
        start(way);
      }
    }
    check_equal(done_, total_, "cells of the schedule that have arrived");
    return time_;
  }

 private:
  struct Task {
    int transfer;
    int cell;  // of all
  };
  struct Event {
    double at;
    std::int64_t order;  // of those at one time
    bool arrives;        // else its link is free again
    Task task;
    bool operator>(const Event& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  struct Way {
    bool busy = false;
    std::deque<Task> ready;
  };

  // No more cells than can be followed quickly.
  void cut(std::int64_t elements) {
    constexpr std::int64_t kMostCells = 4096;
    const std::int64_t segment = std::max<std::int64_t>(
        {1, static_cast<std::int64_t>(FrameRun::kSegmentBytes) / element_bytes_,
         elements / kMostCells});
    for (int chunk = 0; chunk < schedule_.chunks; ++chunk) {
      first_cell_.push_back(static_cast<int>(cells_.size()));
      const std::int64_t all = part_of(elements, schedule_.chunks, chunk).size();
      const std::int64_t parts = std::max<std::int64_t>(1, (all + segment - 1) / segment);
      for (std::int64_t part = 0; part < parts; ++part) {
        cells_.push_back({chunk, part_of(all, parts, part).size() * element_bytes_});
      }
    }
    first_cell_.push_back(static_cast<int>(cells_.size()));
  }

  std::size_t at(int rank, int chunk) const {
    return static_cast<std::size_t>(rank) * schedule_.chunks + chunk;
  }
  Way& way_of(const Task& task) {
    const Transfer& transfer = schedule_.transfers[task.transfer];
    return links_[static_cast<std::size_t>(transfer.from) * schedule_.size + transfer.to];
  }

  void enter(int number) {
    const Transfer& transfer = schedule_.transfers[number];
    if (!topology_.link(transfer.from, transfer.to).exists()) {
      throw InvalidInput(
          fmt::format("{} sends from rank {} to rank {}, between which the topology has no link; "
                      "algorithm tree uses what links there are",
                      schedule_.algorithm, transfer.from, transfer.to));
    }
    for (int chunk = transfer.first; chunk < transfer.first + transfer.chunks; ++chunk) {
      into_[at(transfer.to, chunk)].push_back(number);
      out_of_[at(transfer.from, chunk)].push_back(number);
    }
  }

  // What is ready at once goes by turns, as in ScheduleRun: a cell of each transfer.
  void begin() {
    std::vector<Task> ready;
    for (int number = 0; number < static_cast<int>(schedule_.transfers.size()); ++number) {
      const Transfer& transfer = schedule_.transfers[number];
      const int end = first_cell_[transfer.first + transfer.chunks];
      missing_.emplace_back();
      for (int cell = first_cell_[transfer.first]; cell < end; ++cell) {
        ++total_;
        const auto& coming = into_[at(transfer.from, cells_[cell].chunk)];
        const auto before = std::count_if(coming.begin(), coming.end(), [&](int other) {
          return schedule_.transfers[other].step < transfer.step;
        });
        missing_.back().push_back(static_cast<int>(before));
        if (before == 0) ready.push_back({number, cell});
      }
    }
    std::stable_sort(ready.begin(), ready.end(),
                     [&](const Task& a, const Task& b) { return place_of(a) < place_of(b); });
    for (const Task& task : ready) way_of(task).ready.push_back(task);
    for (Way& way : links_) start(way);
  }
  int place_of(const Task& task) const {
    return task.cell - first_cell_[schedule_.transfers[task.transfer].first];
  }

  void start(Way& way) {
    if (way.busy || way.ready.empty()) return;
    const Task task = way.ready.front();
    way.ready.pop_front();
    way.busy = true;
    const Transfer& transfer = schedule_.transfers[task.transfer];
    const Link& link = topology_.link(transfer.from, transfer.to);
    const double takes = static_cast<double>(cells_[task.cell].bytes) / link.bytes_per_second;
    time_.busy[transfer.from][transfer.to] += takes;
    events_.push({time_.seconds + takes, order_++, false, task});
    events_.push({time_.seconds + takes + link.latency_seconds, order_++, true, task});
  }

  void arrived(const Task& task) {
    ++done_;
    const Transfer& come = schedule_.transfers[task.transfer];
    for (const int next : out_of_[at(come.to, cells_[task.cell].chunk)]) {
      if (schedule_.transfers[next].step <= come.step) continue;
      const Task waiting{next, task.cell};
      if (--missing_[next][place_of(waiting)] != 0) continue;
      way_of(waiting).ready.push_back(waiting);
      start(way_of(waiting));
    }
  }

  struct Cell {
    int chunk;
    std::int64_t bytes;
  };

  const Schedule& schedule_;
  const Topology& topology_;
  const std::int64_t element_bytes_;
  std::vector<Cell> cells_;
  std::vector<int> first_cell_;            // by chunk, and one more
  std::vector<std::vector<int>> into_;     // by rank and chunk: transfers
  std::vector<std::vector<int>> out_of_;   // by rank and chunk: transfers
  std::vector<std::vector<int>> missing_;  // by transfer and cell: arrivals that it waits for
  std::vector<Way> links_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::int64_t order_ = 0;
  std::int64_t total_ = 0;
  std::int64_t done_ = 0;
  ScheduleTime time_;
};

}  // namespace

ScheduleTime time_schedule(const Schedule& schedule, const Topology& topology,
                           std::int64_t elements, std::int64_t element_bytes) {
  return Flow(schedule, topology, elements, element_bytes).run();
}

}  // namespace shoal
