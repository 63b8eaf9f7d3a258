#include "shoal/checkpoint/npy.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/core/test_folder.h"

namespace shoal {
namespace {

using ::testing::HasSubstr;

std::filesystem::path npy_file() {
  static const TempFolder folder;
  return folder / "array.npy";
}

std::string npy_refusal(const std::string& content) {
  std::ofstream(npy_file(), std::ios::binary) << content;
  try {
    (void)read_npy_tensor(npy_file());
  } catch (const Corrupt& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Npy, ArraysComeBackInEveryType) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kHalf, at::kChar, at::kShort,
                                    at::kInt, at::kLong, at::kByte, at::kBool}) {
    const at::Tensor array = at::arange(6).reshape({2, 3}).to(type);
    write_npy(npy_file(), array);
    const at::Tensor read = read_npy_tensor(npy_file());
    EXPECT_EQ(read.scalar_type(), type);
    EXPECT_TRUE(at::equal(read, array)) << at::toString(type);
  }
  for (const std::vector<std::int64_t>& shape :
       {std::vector<std::int64_t>{}, {1}, {0, 4}, {2, 1, 3}}) {
    write_npy(npy_file(), at::ones(shape));
    EXPECT_EQ(read_npy_tensor(npy_file()).sizes().vec(), shape);
  }
  EXPECT_THROW(npy_header(at::kBFloat16, {1}), InvalidInput);
}

TEST(Npy, TheHeaderIsThatOfNumPy) {
  const std::string header = npy_header(at::kFloat, {3});
  EXPECT_EQ(header.size() % 64, 0U);
  EXPECT_EQ(header.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  EXPECT_THAT(header, HasSubstr("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }"));
  EXPECT_EQ(header.back(), '\n');
}

TEST(Npy, ArraysThatLieByColumnsAreTurned) {
  std::string header = npy_header(at::kDouble, {2, 3});
  header.replace(header.find("False"), 5, "True ");
  const at::Tensor by_columns = at::arange(6, at::kDouble);
  std::string content = header;
  content.append(static_cast<const char*>(by_columns.const_data_ptr()), by_columns.nbytes());
  std::ofstream(npy_file(), std::ios::binary) << content;
  EXPECT_TRUE(at::equal(read_npy_tensor(npy_file()), by_columns.reshape({3, 2}).t()));
}

TEST(Npy, NumbersOfTheOtherByteOrderAreTurned) {
  std::string content = npy_header(at::kInt, {2}) + std::string("\0\0\1\2\0\0\0\3", 8);
  content.replace(content.find("<i4"), 3, ">i4");
  std::ofstream(npy_file(), std::ios::binary) << content;
  EXPECT_TRUE(at::equal(read_npy_tensor(npy_file()), at::tensor({258, 3}, at::kInt)));
}

TEST(Npy, WhatIsNoArrayIsRefused) {
  const std::string good = npy_header(at::kFloat, {2}) + std::string(8, '\0');
  EXPECT_EQ(npy_refusal(good), "accepted");
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string content = good;
    return content.replace(content.find(from), from.size(), to);
  };
  EXPECT_THAT(npy_refusal(good.substr(1)), HasSubstr("magic"));
  EXPECT_THAT(npy_refusal(good.substr(0, good.size() - 1)), HasSubstr("array.npy"));
  EXPECT_THAT(npy_refusal(good + "x"), HasSubstr("array.npy"));
  EXPECT_THAT(npy_refusal(changed("<f4", "<u4")),
              HasSubstr("array.npy: expected float16 to float64, int8 to int64, uint8 or bool, "
                        "found uint32: save it as int64"));
  EXPECT_THROW(read_npy_tensor("/nowhere/x.npy"), InvalidInput);
}

}  // namespace
}  // namespace shoal
