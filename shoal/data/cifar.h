// CIFAR-10 and CIFAR-100, the "binary version": records without a header.
// CIFAR-10: label (0..9), then 1,024 red, 1,024 green, 1,024 blue bytes, row-major; CIFAR-100 has a
// coarse (0..19) and a fine (0..99) label first.
// Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009; its data page.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <vector>

#include "shoal/data/samples.h"

namespace shoal {

enum class CifarLabel : std::uint8_t { cifar10, coarse, fine };

struct TrainAndTest {
  Samples train;
  Samples test;
};

// Reads data_batch_1.bin to data_batch_5.bin (those that are there, at least the first, without a
// gap) and test_batch.bin of CIFAR-10, or train.bin and test.bin of CIFAR-100; any of them may end
// in .gz instead. Class names come from batches.meta.txt, or fine_ and coarse_label_names.txt, when
// the folder has it.
// Throws Corrupt naming file, byte, expected and found: a size that is no whole number of records
// (the other CIFAR's files are recognised), a label out of range, a wrong number of names, the
// Python version's pickles. InvalidInput when a file is missing.
TrainAndTest read_cifar(const std::filesystem::path& folder, CifarLabel label,
                        const std::stop_token& stop = {});

// The records of one file, without class names. Throws as read_cifar does.
Samples read_cifar_file(const std::filesystem::path& file, CifarLabel label,
                        const std::stop_token& stop = {});

}  // namespace shoal
