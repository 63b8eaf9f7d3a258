#include "shoal/data/answer_form.h"

#include <fmt/format.h>

namespace shoal {

std::string AnswerForm::text() const {
  const std::int64_t many = count();
  if (classes > 0) {
    return shape.empty() ? fmt::format("{} classes", classes)
                         : fmt::format("{} classes at each of {} positions", classes, many);
  }
  if (yes_or_no) return fmt::format("{} {}", many, many == 1 ? "label" : "labels");
  return many == 1 ? "a number to predict" : fmt::format("{} numbers to predict", many);
}

}  // namespace shoal
