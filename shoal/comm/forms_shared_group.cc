// Groups over a region alone.
#include "shoal/comm/forms_region.h"
#include "shoal/comm/shared_group.h"

namespace shoal {
namespace {

class SharedGroupForms final : public FormsGroup {
 public:
  explicit SharedGroupForms(const Forming& forming)
      : forming_(forming), region_(forming_, all_ranks(static_cast<int>(forming.ranks.size()))) {}

  std::string offer(Deadline deadline) override {
    region_.offer(deadline);
    return std::string(name_of(forming_.engine));
  }

  std::unique_ptr<Group> finish(Deadline deadline) override {
    SharedGroupSpec spec;
    spec.name = forming_.name;
    spec.engine = name_of(forming_.engine);
    spec.rank = forming_.rank;
    spec.region = region_.finish(deadline);
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
  FormsRegion region_;
};

}  // namespace

std::unique_ptr<FormsGroup> forms_shared_group(const Forming& forming) {
  return std::make_unique<SharedGroupForms>(forming);
}

}  // namespace shoal
