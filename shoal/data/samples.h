// Samples as a file holds them, before they are split and scaled: what every reader returns.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shoal/core/element_type.h"
#include "shoal/data/answer_form.h"
#include "shoal/data/batch.h"

namespace shoal {

struct Samples {
  std::int64_t count = 0;
  std::vector<std::int64_t> shape;        // of one sample; {channels, height, width} for pictures
  ElementType type = ElementType::uint8;  // uint8 or float32: other types become float32
  AlignedBytes values;                    // count x shape, row-major
  AnswerForm answers;
  std::vector<std::int64_t> labels;        // of classes: count x answers.shape, 0 .. classes-1
  std::vector<float> targets;              // of numbers: count x answers.shape
  std::vector<std::string> answer_names;   // as in DatasetFacts
  std::vector<std::string> feature_names;  // of a table with a header; may be empty

  std::int64_t elements() const {
    std::int64_t product = 1;
    for (const std::int64_t extent : shape) product *= extent;
    return product;
  }
};

}  // namespace shoal
