#include "shoal/data/cifar.h"

#include "shoal/data/test_files.h"
#include "tests/fuzz/target.h"

std::vector<std::string> fuzz_seeds() {
  const std::string pixels(3072, 'p');
  return {std::string(1, '\3') + pixels,
          std::string(1, '\3') + pixels + std::string(1, '\7') + pixels,
          std::string("\3\77", 2) + pixels, ""};
}

// As the first file of either set; the others are good.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const shoal::TempFolder folder;
  const std::string content = shoal::text_of(data, size);
  const std::string pixels(3072, 'p');
  folder.write("data_batch_1.bin", content);
  folder.write("test_batch.bin", std::string(1, '\1') + pixels);
  folder.write("train.bin", content);
  folder.write("test.bin", std::string("\1\1", 2) + pixels);
  shoal::fuzz("data_batch_1.bin",
              [&] { shoal::read_cifar(folder.path(), shoal::CifarLabel::cifar10); });
  return shoal::fuzz("train.bin",
                     [&] { shoal::read_cifar(folder.path(), shoal::CifarLabel::fine); });
}
