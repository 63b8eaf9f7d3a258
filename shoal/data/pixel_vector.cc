#include "shoal/data/pixel_vector.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shoal/data/pixel_vector.cc"
#include <hwy/foreach_target.h>  // compiles this file once for each kind of CPU: must be first
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace shoal::detail {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR

// Without vectors a table is faster: the caller has one.
std::size_t convert_pixels_on_vectors(const std::uint8_t*, std::size_t, const PixelLines&,
                                      const std::array<float*, 3>&) {
  return 0;
}

#else

// Bytes to floats, for 16 bytes of one colour.
HWY_INLINE void convert_colour(const std::uint8_t* bytes, Scaling::Line line, float* to) {
  const hn::CappedTag<double, 16> wide;
  const hn::Rebind<float, decltype(wide)> real;
  const hn::Rebind<std::int32_t, decltype(wide)> integer;
  const hn::Rebind<std::uint8_t, decltype(wide)> byte;
  const auto slope = hn::Set(wide, line.slope);
  const auto offset = hn::Set(wide, line.offset);
  for (std::size_t i = 0; i < 16; i += hn::Lanes(wide)) {
    const auto value = hn::PromoteTo(wide, hn::PromoteTo(integer, hn::LoadU(byte, bytes + i)));
    hn::StoreU(hn::DemoteTo(real, hn::MulAdd(value, slope, offset)), real, to + i);
  }
}

std::size_t convert_pixels_on_vectors(const std::uint8_t* rgb, std::size_t pixels,
                                      const PixelLines& lines,
                                      const std::array<float*, 3>& planes) {
  const hn::FixedTag<std::uint8_t, 16> sixteen;
  HWY_ALIGN std::uint8_t colours[3][16];
  std::size_t done = 0;
  for (; done + 16 <= pixels; done += 16) {
    hn::Vec<decltype(sixteen)> red;
    hn::Vec<decltype(sixteen)> green;
    hn::Vec<decltype(sixteen)> blue;
    hn::LoadInterleaved3(sixteen, rgb + 3 * done, red, green, blue);
    hn::Store(red, sixteen, colours[0]);
    hn::Store(green, sixteen, colours[1]);
    hn::Store(blue, sixteen, colours[2]);
    for (std::size_t c = 0; c < 3; ++c) convert_colour(colours[c], lines.of[c], planes[c] + done);
  }
  return done;
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace shoal::detail
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace shoal::detail {

HWY_EXPORT(convert_pixels_on_vectors);

std::size_t convert_pixels(const std::uint8_t* rgb, std::size_t pixels, const PixelLines& lines,
                           const std::array<float*, 3>& planes) {
  return HWY_DYNAMIC_DISPATCH(convert_pixels_on_vectors)(rgb, pixels, lines, planes);
}

}  // namespace shoal::detail
#endif  // HWY_ONCE
