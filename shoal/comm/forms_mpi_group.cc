// A group whose frames are messages of MPI. Its ranks tell each other through the store which ranks
// of MPI they are, and the first draws the tags of the group's messages.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <sstream>

#include "shoal/comm/forming.h"
#include "shoal/comm/frame_group.h"

namespace shoal {
namespace {

struct Offer {
  int rank = 0;  // MPI's
  int size = 0;
  int tag = 0;
  std::string mpi;  // its name
};

class MpiGroupForms final : public FormsGroup {
 public:
  explicit MpiGroupForms(const Forming& forming) : forming_(forming) {}

  std::string offer(Deadline deadline) override {
    const CommOptions& options = forming_.options;
    process_ = options.mpi_process ? options.mpi_process(forming_.ranks[forming_.rank])
                                   : MpiProcess::of_launcher(options.mpi, deadline);
    MpiCalls& calls = process_->calls();
    const int tag = forming_.rank == 0 ? process_->new_tags(kTraffics) : 0;
    return fmt::format("{} {} {} {}", calls.rank(), calls.size(), tag, calls.name());
  }

  std::unique_ptr<Group> finish(Deadline deadline) override {
    std::vector<Offer> offers;
    for (std::size_t rank = 0; rank < forming_.ranks.size(); ++rank) {
      offers.push_back(offer_of(static_cast<int>(rank), deadline));
    }
    check_offers(offers);
    FrameGroupSpec spec = frame_spec_of(forming_);
    spec.wires.mpi = MpiWires{process_, {}, offers[0].tag};
    for (const Offer& offer : offers) spec.wires.mpi->ranks.push_back(offer.rank);
    return std::make_unique<FrameGroup>(std::move(spec), forming_.registry);
  }

 private:
  Offer offer_of(int rank, Deadline deadline) const {
    std::istringstream in(forming_.store->get(fmt::format("offer/{}", rank), deadline));
    Offer offer;
    in >> offer.rank >> offer.size >> offer.tag >> std::ws;
    std::getline(in, offer.mpi);
    return offer;
  }

  // All are processes of one launch, as far as can be seen.
  void check_offers(const std::vector<Offer>& offers) const {
    std::map<int, std::size_t> seen;  // rank of MPI, ours
    for (std::size_t rank = 0; rank < offers.size(); ++rank) {
      const Offer& offer = offers[rank];
      if (offer.mpi != offers[0].mpi || offer.size != offers[0].size) {
        throw InvalidInput(fmt::format(
            "group {}: rank {} is one of {} processes of {}, rank 0 one of {} of {}; start all "
            "workers with one mpirun",
            forming_.name, rank, offer.size, offer.mpi, offers[0].size, offers[0].mpi));
      }
      const auto [before, is_new] = seen.emplace(offer.rank, rank);
      if (!is_new) {
        throw InvalidInput(fmt::format(
            "group {}: ranks {} and {} are both rank {} of {} processes of {}; engine mpi needs "
            "processes that one mpirun of this MPI has started",
            forming_.name, before->second, rank, offer.rank, offer.size, offer.mpi));
      }
    }
  }

  const Forming forming_;
  std::shared_ptr<MpiProcess> process_;
};

}  // namespace

std::unique_ptr<FormsGroup> forms_mpi_group(const Forming& forming) {
  return std::make_unique<MpiGroupForms>(forming);
}

}  // namespace shoal
