// Groups over two networks: two groups of the same ranks.
#include <fmt/format.h>

#include "shoal/comm/forming.h"
#include "shoal/comm/hybrid_group.h"

namespace shoal {
namespace {

class HybridGroupForms final : public FormsGroup {
 public:
  explicit HybridGroupForms(const Forming& forming)
      : forming_(forming),
        second_(in_second_network(forming)),
        forms_first_(forms_tcp_group(forming_)),
        forms_second_(forms_tcp_group(second_)) {}

  std::string offer(Deadline deadline) override {
    second_.store->set(fmt::format("offer/{}", second_.rank), forms_second_->offer(deadline),
                       deadline);
    return forms_first_->offer(deadline);
  }
  std::unique_ptr<Group> finish(Deadline deadline) override {
    auto first = forms_first_->finish(deadline);
    auto second = forms_second_->finish(deadline);
    auto group =
        std::make_unique<HybridGroup>(std::move(first), std::move(second), forming_.registry);
    group->measure(deadline);
    return group;
  }

 private:
  static Forming in_second_network(const Forming& forming) {
    Forming second = forming;
    second.name = forming.name + " (second network)";
    second.store = with_prefix(forming.store, "second/");
    second.options.interface_address = forming.options.second_interface_address;
    return second;
  }

  const Forming forming_;
  const Forming second_;
  const std::unique_ptr<FormsGroup> forms_first_;
  const std::unique_ptr<FormsGroup> forms_second_;
};

}  // namespace

std::unique_ptr<FormsGroup> forms_hybrid_group(const Forming& forming) {
  return std::make_unique<HybridGroupForms>(forming);
}

}  // namespace shoal
