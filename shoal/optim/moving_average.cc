#include "shoal/optim/moving_average.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include "shoal/core/check.h"

namespace shoal {

void update_averages(double decay, std::int64_t count, std::vector<at::Tensor>& averages,
                     const std::vector<at::Tensor>& parameters) {
  check_equal(averages.size(), parameters.size(), "one average a parameter");
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < averages.size(); ++i) {
    if (count == 1) {
      averages[i].copy_(parameters[i]);
    } else {
      averages[i].lerp_(parameters[i], 1 - decay);
    }
  }
}

}  // namespace shoal
