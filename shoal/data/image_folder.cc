#include "shoal/data/image_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "shoal/core/check.h"
#include "shoal/core/error.h"
#include "shoal/data/augmentation.h"
#include "shoal/data/picture_decoder.h"
#include "shoal/data/picture_renderer.h"

namespace shoal {
namespace {

DatasetFacts facts_of(std::string name, const PictureFiles& files, PictureSize window) {
  return {.name = std::move(name),
          .size = files.size(),
          .sample_shape = {3, window.height, window.width},
          .answers = {.classes = static_cast<std::int64_t>(files.classes().size())},
          .answer_names = files.classes()};
}

PictureCut fitting_cut(const PictureFit& fit, PictureSize picture, PictureSize window,
                       const PictureFiles& files, std::int64_t row) {
  const auto cut = fit.cut(picture);
  if (cut && fit.window(picture) == window) return *cut;
  const std::string path = files.path(row);
  if (!cut) {
    throw Corrupt(fmt::format("{}: expected a picture of at least {} pixels on each side, which is "
                              "data.crop, found {} x {}: set data.resize",
                              path, fit.crop, picture.width, picture.height),
                  path);
  }
  const PictureSize found = fit.window(picture);
  throw Corrupt(
      fmt::format(
          "{}: expected {} x {} pixels as of the first picture, found {} x {}: set data.crop "
          "(and data.resize), so that all become samples of one size",
          path, window.width, window.height, found.width, found.height),
      path);
}

}  // namespace

PictureSize PictureFit::resized(PictureSize picture) const {
  if (resize == 0) return picture;
  const int shorter = std::min(picture.height, picture.width);
  // Rounded down, as torchvision's Resize does.
  const auto side = [&](int stored) {
    return static_cast<int>(std::int64_t{resize} * stored / shorter);
  };
  return {.height = side(picture.height), .width = side(picture.width)};
}

std::optional<PictureCut> PictureFit::cut(PictureSize picture) const {
  PictureCut cut{.box = {.height = picture.height, .width = picture.width},
                 .resized = resized(picture)};
  if (crop == 0) return cut;
  if (crop > cut.resized.height || crop > cut.resized.width) return std::nullopt;
  // Half a pixel goes to the even side, as torchvision's CenterCrop has it.
  cut.top = static_cast<int>(std::nearbyint((cut.resized.height - crop) / 2.0));
  cut.left = static_cast<int>(std::nearbyint((cut.resized.width - crop) / 2.0));
  return cut;
}

PictureSize PictureFit::window(PictureSize picture) const {
  if (crop > 0) return {.height = crop, .width = crop};
  return resized(picture);
}

ImageFolderDataset::ImageFolderDataset(std::string name, std::shared_ptr<const PictureFiles> files,
                                       const PictureFit& fit, PictureSize window,
                                       const Scaling& scaling)
    : Dataset(facts_of(std::move(name), *files, window)),
      files_(std::move(files)),
      fit_(fit),
      renderer_(std::make_unique<PictureRenderer>(sample_shape(), scaling)) {}

ImageFolderDataset::~ImageFolderDataset() = default;

void ImageFolderDataset::read(std::span<const std::int64_t> ids, Batch& out) const {
  read_altered(ids, nullptr, out);
}

void ImageFolderDataset::read_augmented(std::span<const std::int64_t> ids,
                                        const Augmentation& augmentation, Batch& out) const {
  read_altered(ids, &augmentation, out);
}

void ImageFolderDataset::read_altered(std::span<const std::int64_t> ids,
                                      const Augmentation* augmentation, Batch& out) const {
  prepare(ids, out);
  const auto elements = static_cast<std::size_t>(facts().sample_elements());
  // Of this call, so that threads share nothing; used again from picture to picture.
  PictureDecoder decoder;
  Resampler resampler;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::int64_t row = ids[i];
    const PictureView picture = decoder.decode(files_->path(row));
    const PictureSize size{.height = picture.height, .width = picture.width};
    PictureCut cut;
    ColorChange colors;
    // A box that is resized to the sample fits whatever the picture's size.
    const bool fits_any = augmentation && augmentation->options().crop == RandomCrop::resized;
    if (!fits_any) cut = fitting_cut(fit_, size, renderer_->window(), *files_, row);
    if (augmentation) {
      const SampleAt at{.step = out.index, .row = row};
      cut = augmentation->cut(at, size, cut, renderer_->window());
      colors = augmentation->colors(at);
    }
    renderer_->render(picture, cut, colors, resampler,
                      out.inputs.as<float>().subspan(i * elements, elements));
    out.labels[i] = files_->label(row);
  }
}

Normalization measure(const PictureFiles& files, const PictureFit& fit, PictureSize window,
                      std::span<const std::int64_t> rows, const std::stop_token& stop) {
  check(!rows.empty(), "means need at least one sample");
  constexpr std::int64_t kMostPixels = std::int64_t{1} << 26;
  const std::int64_t pixels = std::int64_t{window.height} * window.width;
  const auto all = static_cast<std::int64_t>(rows.size());
  const std::int64_t pictures = std::clamp<std::int64_t>(kMostPixels / pixels, 1, all);
  const PictureRenderer renderer({3, window.height, window.width},
                                 {.unit = 1.0 / 255, .normalization = {}});
  PictureDecoder decoder;
  Resampler resampler;
  std::vector<float> sample(static_cast<std::size_t>(3 * pixels));
  std::array<double, 3> sums{};
  std::array<double, 3> squares{};
  for (std::int64_t i = 0; i < pictures; ++i) {
    if (stop.stop_requested()) {
      throw Cancelled(fmt::format("measuring {} was stopped", files.folder()));
    }
    const std::int64_t row = rows[static_cast<std::size_t>(i * all / pictures)];
    const PictureView picture = decoder.decode(files.path(row));
    const PictureCut cut =
        fitting_cut(fit, {.height = picture.height, .width = picture.width}, window, files, row);
    renderer.render(picture, cut, {}, resampler, sample);
    for (std::size_t c = 0; c < 3; ++c) {
      const float* const plane = sample.data() + c * static_cast<std::size_t>(pixels);
      for (std::int64_t p = 0; p < pixels; ++p) {
        const double value = double{plane[p]};
        sums[c] += value;
        squares[c] += value * value;
      }
    }
  }
  Normalization result{.mean = {}, .deviation = {}};
  const double count = static_cast<double>(pictures) * static_cast<double>(pixels);
  for (std::size_t c = 0; c < 3; ++c)
    add_group(result, sums[c] / count, squares[c] / count - sums[c] * sums[c] / count / count);
  return result;
}

}  // namespace shoal
