#include "shoal/data/resampling.h"

#include <algorithm>
#include <cmath>

#include "shoal/core/check.h"

namespace shoal {

void TriangleFilter::set(int size, int resized) {
  check(size > 0 && resized > 0, "sizes of a picture are above 0");
  const double scale = static_cast<double>(size) / resized;
  const double reach = std::max(scale, 1.0);  // of the triangle, to each side
  stride_ = static_cast<std::size_t>(std::ceil(reach)) * 2 + 1;
  const auto count = static_cast<std::size_t>(resized);
  weights_.resize(count * stride_);
  first_.resize(count);
  count_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(std::floor(centre - reach + 0.5)));
    const int end = std::min(size, static_cast<int>(std::floor(centre + reach + 0.5)));
    float* const weights = weights_.data() + i * stride_;
    double sum = 0;
    for (int x = first; x < end; ++x) {
      const double weight = std::max(0.0, 1 - std::abs(x + 0.5 - centre) / reach);
      weights[x - first] = static_cast<float>(weight);
      sum += weight;
    }
    for (int x = first; x < end; ++x) {
      weights[x - first] = static_cast<float>(double{weights[x - first]} / sum);
    }
    first_[i] = first;
    count_[i] = end - first;
  }
}

Taps TriangleFilter::taps(int at) const {
  const auto i = static_cast<std::size_t>(at);
  return {.first = first_[i], .weights = weights_.data() + i * stride_, .count = count_[i]};
}

void Resampler::resample(const PictureView& picture, const PictureCut& cut, PictureSize window,
                         float* out) {
  across_.set(cut.box.width, cut.resized.width);
  down_.set(cut.box.height, cut.resized.height);
  // Only the rows that the window's rows are made of.
  const int first_line = std::clamp(cut.top, 0, cut.resized.height - 1);
  const int last_line = std::clamp(cut.top + window.height - 1, 0, cut.resized.height - 1);
  const int first_row = down_.taps(first_line).first;
  const Taps last = down_.taps(last_line);
  reduce_columns(picture, cut, window, first_row, last.first + last.count - first_row);
  reduce_rows(cut, window, picture.channels, first_row, out);
}

void Resampler::reduce_columns(const PictureView& picture, const PictureCut& cut,
                               PictureSize window, int first_row, int rows) {
  const auto width = static_cast<std::size_t>(window.width);
  const auto channels = static_cast<std::size_t>(picture.channels);
  narrow_.assign(static_cast<std::size_t>(rows) * channels * width, 0.0f);
  const std::uint8_t* const corner =
      picture.bytes + (cut.box.top + first_row) * picture.to_row + cut.box.left * picture.to_column;
  const int first = std::max(0, -cut.left);
  const int end = std::min(window.width, cut.resized.width - cut.left);
  for (int column = first; column < end; ++column) {
    const Taps taps = across_.taps(cut.left + column);
    const auto to = static_cast<std::size_t>(cut.mirrored ? window.width - 1 - column : column);
    const std::uint8_t* from = corner + taps.first * picture.to_column;
    for (std::size_t line = 0; line < static_cast<std::size_t>(rows) * channels; ++line) {
      const auto row = static_cast<std::ptrdiff_t>(line / channels);
      const auto channel = static_cast<std::ptrdiff_t>(line % channels);
      const std::uint8_t* pixel = from + row * picture.to_row + channel * picture.to_channel;
      float sum = 0;
      for (int i = 0; i < taps.count; ++i, pixel += picture.to_column) {
        sum += taps.weights[i] * static_cast<float>(*pixel);
      }
      narrow_[line * width + to] = sum;
    }
  }
}

void Resampler::reduce_rows(const PictureCut& cut, PictureSize window, int channels, int first_row,
                            float* out) const {
  const auto width = static_cast<std::size_t>(window.width);
  const auto height = static_cast<std::size_t>(window.height);
  const std::size_t row_floats = static_cast<std::size_t>(channels) * width;
  std::fill_n(out, row_floats * height, 0.0f);
  const int first = std::max(0, -cut.top);
  const int end = std::min(window.height, cut.resized.height - cut.top);
  for (int line = first; line < end; ++line) {
    const Taps taps = down_.taps(cut.top + line);
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
      float* const to = out + (c * height + static_cast<std::size_t>(line)) * width;
      for (int i = 0; i < taps.count; ++i) {
        const float weight = taps.weights[i];
        const float* const from =
            narrow_.data() + static_cast<std::size_t>(taps.first + i - first_row) * row_floats +
            c * width;
        for (std::size_t x = 0; x < width; ++x) to[x] += weight * from[x];
      }
    }
  }
}

}  // namespace shoal
