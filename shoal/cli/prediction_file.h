// Predictions as files.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shoal/data/dataset.h"

namespace shoal {

// Gets the outputs of all samples in their order, some at a time.
class PredictionWriter {
 public:
  virtual ~PredictionWriter() = default;
  virtual void add(const at::Tensor& outputs) = 0;  // [samples, ...]
  // The file is complete and takes the place of an older one; before, there is none.
  virtual void finish() = 0;
};

// Lines "sample,label,probability", with several classes a sample "label_1,probability_1,label_2,
// ...", the most probable first; labels are the data's names where it has some, and fields are
// quoted where they need it (RFC 4180). Of a number to predict "sample,prediction", of several a
// column each; of labels of 0 and 1 a column each with its probability. Samples count from 0.
// Where a sample has a class at each position it is that of the last one, which sees all before it.
// Probabilities are the softmax of the outputs, of labels the sigmoid. `output` empty: standard
// output. Throws InvalidInput for more classes than there are, and a file that cannot be written.
std::unique_ptr<PredictionWriter> csv_predictions(const std::string& output,
                                                  const DatasetFacts& data, int top);

// An array of NumPy, [samples, ...], of the outputs as they are, little-endian.
// Source: numpy.lib.format, version 1.0.
std::unique_ptr<PredictionWriter> npy_predictions(const std::string& output, std::int64_t samples);

}  // namespace shoal
