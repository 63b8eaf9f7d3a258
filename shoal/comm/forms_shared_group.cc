// Groups over a region alone.
#include "shoal/comm/forms_region.h"
#include "shoal/comm/shared_group.h"

namespace shoal {
namespace {

std::vector<int> all_places(const Forming& forming) {
  std::vector<int> places;
  for (int place = 0; place < std::ssize(forming.ranks); ++place) places.push_back(place);
  return places;
}

class SharedGroupForms final : public FormsGroup {
 public:
  SharedGroupForms(const Forming& forming, std::string_view engine)
      : forming_(forming), engine_(engine), region_(forming_, all_places(forming)) {}

  std::string offer(Deadline) override { return region_.offer(); }

  std::unique_ptr<Group> finish(Deadline deadline) override {
    SharedGroupSpec spec;
    spec.name = forming_.name;
    spec.engine = engine_;
    spec.rank = forming_.rank;
    spec.region = region_.finish(forming_.store->get("offer/0", deadline), deadline);
    spec.patience = forming_.members->patience();
    spec.algorithms = forming_.algorithms;
    spec.layout = forming_.layout;
    spec.dead = [members = forming_.members, ranks = forming_.ranks] {
      return members->dead(ranks);
    };
    auto group = std::make_unique<SharedGroup>(std::move(spec), forming_.registry);
    // The first rank closes its door when it has served all, which they know when they are here.
    group->meet(deadline);
    return group;
  }

 private:
  const Forming forming_;
  const std::string_view engine_;
  FormsRegion region_;
};

}  // namespace

std::unique_ptr<FormsGroup> forms_memory_group(const Forming& forming) {
  return std::make_unique<SharedGroupForms>(forming, "memory");
}

std::unique_ptr<FormsGroup> forms_shm_group(const Forming& forming) {
  return std::make_unique<SharedGroupForms>(forming, "shm");
}

}  // namespace shoal
