// What is to be said of every sample.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shoal {

struct AnswerForm {
  std::int64_t classes = 0;  // each answer is one of these; 0: each is a number
  bool yes_or_no = false;    // numbers that are 0 or 1: labels which a sample has or not
  std::vector<std::int64_t> shape = {};  // of a sample's answers; {}: it has one

  std::int64_t count() const {
    std::int64_t product = 1;
    for (const std::int64_t extent : shape) product *= extent;
    return product;
  }
  // Whether right and wrong answers can be told apart.
  bool classifies() const { return classes > 0 || yes_or_no; }
  // "10 classes", "a number to predict", "3 labels".
  std::string text() const;
  bool operator==(const AnswerForm&) const = default;
};

}  // namespace shoal
