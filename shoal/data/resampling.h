// Pictures in another size.
#pragma once

#include <cstddef>
#include <vector>

#include "shoal/data/picture.h"

namespace shoal {

// Which stored pixels make one resized one, along one side.
struct Taps {
  int first = 0;                   // of the box
  const float* weights = nullptr;  // borrowed; they sum to 1
  int count = 0;
};

// Weights of the triangle filter whose width grows with the reduction, so that nothing aliases:
// "bilinear" of Pillow's resize and of PyTorch's interpolate with antialias.
// O(resized x taps); memory is used again. One thread at a time.
class TriangleFilter {
 public:
  // From `size` pixels to `resized`, both > 0. The taps are good until the next call.
  void set(int size, int resized);
  Taps taps(int at) const;  // 0 <= at < resized

 private:
  std::vector<float> weights_;  // resized x stride_
  std::vector<int> first_;
  std::vector<int> count_;
  std::size_t stride_ = 0;
};

// One thread at a time; kept from picture to picture for its memory.
class Resampler {
 public:
  // Writes the window of `window` pixels that `cut` describes, channels first, in bytes' units
  // (0 to 255, not rounded); what lies outside the resized box is 0.
  // Cost: (box height x taps + window height x taps) x window width x channels multiplications.
  void resample(const PictureView& picture, const PictureCut& cut, PictureSize window, float* out);

 private:
  void reduce_columns(const PictureView& picture, const PictureCut& cut, PictureSize window,
                      int first_row, int rows);
  void reduce_rows(const PictureCut& cut, PictureSize window, int channels, int first_row,
                   float* out) const;

  TriangleFilter across_;
  TriangleFilter down_;
  std::vector<float> narrow_;  // rows of the box, resized across: rows x channels x window width
};

}  // namespace shoal
