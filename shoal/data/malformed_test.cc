// Malformed neighbours of every format: each is refused in one sentence that names the file and the
// place. The table runs under AddressSanitizer, too (make asan).
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "shoal/data/open_data.h"
#include "shoal/data/test_files.h"
#include "shoal/data/test_pictures.h"

namespace shoal {
namespace {

using testing::HasSubstr;

struct Malformed {
  std::string name;
  std::function<DataOptions(const TempFolder&)> make;
  std::string file;   // named by the refusal
  std::string place;  // "byte 4", "line 2"; of a folder or a picture what stands there
  std::string fault;
};

void PrintTo(const Malformed& one, std::ostream* out) { *out << one.name; }

using Make = std::function<DataOptions(const TempFolder&)>;

DataOptions options_of(DataName name, const std::filesystem::path& path) {
  DataOptions options;
  options.name = name;
  options.path = path.string();
  options.test = 0;
  return options;
}

// --- IDX and gzip --------------------------------------------------------------------------------

std::string good_images() { return idx_header(0x08, {3, 2, 2}) + counting(12); }
std::string good_labels() { return idx_header(0x08, {3}) + std::string("\0\1\2", 3); }

DataOptions idx_files(const TempFolder& folder, const std::string& images,
                      const std::string& labels) {
  folder.write("train-images-idx3-ubyte", images);
  folder.write("train-labels-idx1-ubyte", labels);
  folder.write("t10k-images-idx3-ubyte", good_images());
  folder.write("t10k-labels-idx1-ubyte", good_labels());
  return options_of(DataName::idx, folder.path());
}
Make idx_images(const std::string& images) {
  return [=](const TempFolder& folder) { return idx_files(folder, images, good_labels()); };
}
Make idx_labels(const std::string& labels) {
  return [=](const TempFolder& folder) { return idx_files(folder, good_images(), labels); };
}
Make packed_images(const std::string& packed) {
  return [=](const TempFolder& folder) {
    const DataOptions options = idx_files(folder, good_images(), good_labels());
    std::filesystem::remove(folder / "train-images-idx3-ubyte");
    folder.write("train-images-idx3-ubyte.gz", packed);
    return options;
  };
}

std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text += static_cast<char>(value);
  return text;
}

// `text` with the byte at `at` (from the end when negative) altered.
std::string altered(std::string text, std::ptrdiff_t at) {
  const std::ptrdiff_t place = at < 0 ? static_cast<std::ptrdiff_t>(text.size()) + at : at;
  auto& byte = text[static_cast<std::size_t>(place)];
  byte = static_cast<char>(byte ^ 0x55);
  return text;
}

std::vector<Malformed> idx_table() {
  const std::string file = "train-images-idx3-ubyte";
  const std::string labels = "train-labels-idx1-ubyte";
  return {
      {"idx_empty", idx_images(""), file, "byte 0", "expected 4 bytes of IDX magic"},
      {"idx_text", idx_images("hello, world"), file, "byte 0", "two zero bytes first"},
      {"idx_swapped", idx_images(bytes({3, 8, 0, 0}) + counting(24)), file, "byte 0",
       "its bytes are swapped"},
      {"idx_type", idx_images(bytes({0, 0, 10, 3}) + counting(24)), file, "byte 2", "found 0a"},
      {"idx_no_dimensions", idx_images(bytes({0, 0, 8, 0})), file, "byte 3", "found 0"},
      {"idx_labels_as_images", idx_images(good_labels()), file, "byte 3",
       "is it the file of another role?"},
      {"idx_images_as_labels", idx_labels(good_images()), labels, "byte 3",
       "expected 1 dimensions for labels, found 3"},
      {"idx_cut_header", idx_images(bytes({0, 0, 8, 3, 0, 0})), file, "byte 4", "an IDX size"},
      {"idx_size_0", idx_images(idx_header(8, {3, 0, 2})), file, "byte 8", "found 0"},
      {"idx_size_beyond_file", idx_images(idx_header(8, {3, 2, 2'000'000})), file, "byte 12",
       "all the file can hold"},
      {"idx_size_overflows",
       idx_images(idx_header(14, {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}) + counting(24)), file,
       "byte 4", "4294967295 x 4294967295 x 4294967295"},
      {"idx_short", idx_images(good_images().substr(0, 27)), file, "byte 16", "12 bytes"},
      {"idx_long", idx_images(good_images() + "x"), file, "byte 28", "found more bytes"},
      {"idx_float_labels", idx_labels(idx_header(13, {3}) + std::string(12, '\0')), labels,
       "byte 2", "whole numbers"},
      {"idx_negative_label", idx_labels(idx_header(9, {3}) + bytes({0, 255, 1})), labels, "byte 9",
       "found -1"},
      {"idx_other_count", idx_labels(idx_header(8, {2}) + bytes({0, 1})), labels, "3 samples",
       "2 labels"},
      {"idx_gzip_as_plain", idx_images(gzip(good_images())), file, "byte 0", "found gzip"},
      {"gzip_plain_as_packed", packed_images(good_images()), file + ".gz", "byte 0",
       "expected gzip (1f 8b)"},
      {"gzip_empty", packed_images(""), file + ".gz", "byte 0", "the end of the file after 0"},
      {"gzip_cut", packed_images(gzip(good_images()).substr(0, 20)), file + ".gz", "byte 20",
       "it is cut short"},
      {"gzip_method", packed_images(altered(gzip(good_images()), 2)), file + ".gz", "byte",
       "damaged: unknown compression method"},
      {"gzip_checksum", packed_images(altered(gzip(good_images()), -8)), file + ".gz", "byte",
       "damaged: incorrect data check"},
      {"gzip_length", packed_images(altered(gzip(good_images()), -1)), file + ".gz", "byte",
       "damaged: incorrect length check"},
      {"gzip_trailing", packed_images(gzip(good_images()) + "x"), file + ".gz", "byte",
       "after the last gzip member"},
      {"gzip_of_cut_idx", packed_images(gzip(good_images().substr(0, 20))), file + ".gz", "byte 16",
       "found the end after 4"},
  };
}

// --- CIFAR ---------------------------------------------------------------------------------------

std::string record(const std::string& labels) { return labels + std::string(3072, 'p'); }

Make cifar10(const std::string& batch, const std::string& test = record(bytes({1}))) {
  return [=](const TempFolder& folder) {
    folder.write("data_batch_1.bin", batch);
    folder.write("test_batch.bin", test);
    return options_of(DataName::cifar10, folder.path());
  };
}
Make cifar100(const std::string& train) {
  return [=](const TempFolder& folder) {
    folder.write("train.bin", train);
    folder.write("test.bin", record(bytes({1, 1})));
    return options_of(DataName::cifar100, folder.path());
  };
}
Make with_file(const Make& make, const std::string& name, const std::string& content) {
  return [=](const TempFolder& folder) {
    const DataOptions options = make(folder);
    folder.write(name, content);
    return options;
  };
}

std::vector<Malformed> cifar_table() {
  const std::string good = record(bytes({1}));
  return {
      {"cifar10_empty", cifar10(""), "data_batch_1.bin", "byte 0", "an empty file"},
      {"cifar10_short", cifar10(good.substr(0, 3072)), "data_batch_1.bin", "byte 0",
       "3072 bytes more"},
      {"cifar10_long", cifar10(good + "xy"), "data_batch_1.bin", "byte 3073", "2 bytes more"},
      {"cifar10_label", cifar10(good + record(bytes({10}))), "data_batch_1.bin", "byte 3073",
       "found 10"},
      {"cifar10_is_100", cifar10(record(bytes({1, 1}))), "data_batch_1.bin", "byte 3073",
       "a file of CIFAR-100"},
      {"cifar10_pickle", cifar10("\x80\x04..."), "data_batch_1.bin", "byte 0", "it is a pickle"},
      {"cifar10_test_label", cifar10(good, record(bytes({200}))), "test_batch.bin", "byte 0",
       "found 200"},
      {"cifar10_names", with_file(cifar10(good), "batches.meta.txt", "one\ntwo\n"),
       "batches.meta.txt", "one a line", "found 2"},
      {"cifar100_short", cifar100(record(bytes({1, 1})).substr(0, 3000)), "train.bin", "byte 0",
       "3000 bytes more"},
      {"cifar100_is_10", cifar100(good), "train.bin", "byte 0", "a file of CIFAR-10"},
      {"cifar100_coarse", cifar100(record(bytes({20, 1}))), "train.bin", "byte 0", "found 20"},
      {"cifar100_fine", cifar100(record(bytes({1, 100}))), "train.bin", "byte 1", "found 100"},
  };
}

// --- CSV -----------------------------------------------------------------------------------------

Make csv(const std::string& text, const std::function<void(DataOptions&)>& change = {}) {
  return [=](const TempFolder& folder) {
    DataOptions options = options_of(DataName::csv, folder.write("t.csv", text));
    if (change) change(options);
    return options;
  };
}

std::vector<Malformed> csv_table() {
  return {
      {"csv_empty", csv(""), "t.csv", "line 1", "the file is empty"},
      {"csv_header_alone", csv("a,b\n"), "t.csv", "line 1", "rows of numbers"},
      {"csv_ragged", csv("1,2,0\n3,1\n"), "t.csv", "line 2", "expected 3 fields"},
      {"csv_blank_line", csv("1,2,0\n\n3,4,1\n"), "t.csv", "line 2", "an empty line"},
      {"csv_open_quote", csv("1,\"2,0\n3,4,1\n"), "t.csv", "line 1", "quote"},
      {"csv_after_quote", csv("1,\"2\"x,0\n"), "t.csv", "line 1", "quote"},
      {"csv_text", csv("a,b,c\n1,two,0\n"), "t.csv", "line 2", "found 'two'"},
      {"csv_nothing", csv("1,,0\n"), "t.csv", "line 1", "found nothing"},
      {"csv_nan", csv("1,nan,0\n"), "t.csv", "line 1", "a finite number"},
      {"csv_infinity", csv("1,2,0\n1,-inf,0\n"), "t.csv", "line 2", "a finite number"},
      {"csv_beyond_double", csv("1,2,0\n1,1e999,0\n"), "t.csv", "line 2", "found '1e999'"},
      {"csv_beyond_float", csv("1,1e39,0\n"), "t.csv", "line 1", "32 bits can hold"},
      {"csv_not_utf8", csv("1,2,0\n3,\xFF,1\n"), "t.csv", "byte 8", "found the byte ff"},
      {"csv_name_twice", csv("a,a,c\n1,2,0\n"), "t.csv", "line 1", "'a' twice"},
      {"csv_label_fraction", csv("1,2,0.5\n"), "t.csv", "line 1", "a whole number"},
      {"csv_label_negative", csv("1,2,0\n1,2,-1\n"), "t.csv", "line 2", "found -1"},
      {"csv_label_beyond_classes", csv("1,2,3\n", [](auto& o) { o.classes = 3; }), "t.csv",
       "line 1", "0 to 2, found 3"},
      {"csv_label_not_0_or_1",
       csv("a,x,y\n5,1,0\n6,0,2\n",
           [](auto& o) {
             o.csv.task = LearningTask::multi_label;
             o.csv.labels = {"x", "y"};
           }),
       "t.csv", "line 3", "0 or 1 in the label's column 2 ('y'), found 2"},
      {"csv_no_label_column", csv("a,b\n1,0\n", [](auto& o) { o.csv.label = "c"; }), "t.csv",
       "data.label", "2 columns named a, b"},
      {"csv_no_column", csv("1,0\n", [](auto& o) { o.csv.columns = {"7"}; }), "t.csv",
       "data.columns", "a number from 0 to 1"},
      {"csv_other_separator", csv("1;2;0\n"), "t.csv", "line 1", "rows of numbers"},
  };
}

// --- NPY -----------------------------------------------------------------------------------------

Make npy(const std::string& inputs, const std::string& labels) {
  return [=](const TempFolder& folder) {
    DataOptions options = options_of(DataName::npy, folder.write("x.npy", inputs));
    options.labels_path = folder.write("y.npy", labels).string();
    return options;
  };
}
Make npy_inputs(const std::string& inputs) {
  return npy(inputs, npy_header("|u1", "(2,)") + bytes({0, 1}));
}
Make npy_dict(const std::string& dict) { return npy_inputs(npy_start(dict) + "ab"); }

std::vector<Malformed> npy_table() {
  const std::string good = npy_header("|u1", "(2, 3)") + counting(6);
  const auto labels = [&](const std::string& content) { return npy(good, content); };
  return {
      {"npy_empty", npy_inputs(""), "x.npy", "byte 0", "NPY magic and version"},
      {"npy_magic", npy_inputs(altered(good, 1)), "x.npy", "byte 0", "expected the NPY magic"},
      {"npy_npz", npy_inputs("PK\x03\x04" + good), "x.npy", "byte 0", "it is an .npz"},
      {"npy_version", npy_inputs(altered(good, 6)), "x.npy", "byte 6", "1.0, 2.0 or 3.0"},
      {"npy_cut_length", npy_inputs(good.substr(0, 9)), "x.npy", "byte 8", "length of the NPY"},
      {"npy_cut_header", npy_inputs(good.substr(0, 40)), "x.npy", "byte 10", "found the end"},
      {"npy_no_dict", npy_dict("(2, 3)"), "x.npy", "byte 10", "expected '{'"},
      {"npy_objects", npy_inputs(npy_header("|O", "(2,)") + "ab"), "x.npy", "byte 20", "pickles"},
      {"npy_text", npy_inputs(npy_header("<U1", "(2,)") + "ab"), "x.npy", "byte 20", "it is text"},
      {"npy_complex", npy_inputs(npy_header("<c8", "(2,)") + "ab"), "x.npy", "byte 20",
       "complex numbers"},
      {"npy_records",
       npy_dict("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }"), "x.npy",
       "byte 20", "found records"},
      {"npy_order", npy_dict("{'descr': '|u1', 'fortran_order': No, 'shape': (2,), }"), "x.npy",
       "byte 44", "True or False"},
      {"npy_key_twice", npy_dict("{'shape': (2,), 'shape': (2,), }"), "x.npy", "byte 26",
       "once each"},
      {"npy_key_missing", npy_dict("{'descr': '|u1', 'shape': (2,), }"), "x.npy", "byte",
       "the key 'fortran_order'"},
      {"npy_scalar", npy_inputs(npy_header("|u1", "()") + "a"), "x.npy", "byte", "a single value"},
      {"npy_size_0", npy_inputs(npy_header("|u1", "(0, 3)")), "x.npy", "byte", "found 0"},
      {"npy_size_negative", npy_inputs(npy_header("|u1", "(-1, 3)")), "x.npy", "byte", "63 bits"},
      {"npy_size_overflows",
       npy_inputs(npy_header("<f8", "(4294967296, 4294967296, 4294967296)") + "ab"), "x.npy",
       "byte 128", "all the file can hold"},
      {"npy_short", npy_inputs(good.substr(0, good.size() - 1)), "x.npy", "byte 128",
       "6 bytes of NPY values"},
      {"npy_long", npy_inputs(good + "x"), "x.npy", "byte 134", "found more bytes"},
      {"npy_nan", npy_inputs(npy_header("<f4", "(2,)") + std::string(8, '\xFF')), "x.npy",
       "byte 128", "a finite number"},
      {"npy_label_fraction", labels(npy_header("<f2", "(2,)") + "abcd"), "y.npy", "float16",
       "data.task"},
      {"npy_label_negative", labels(npy_header("|i1", "(2,)") + bytes({0, 255})), "y.npy",
       "byte 129", "found -1"},
      {"npy_label_shape", labels(good), "y.npy", "2 x 3", "labels of one size"},
      {"npy_label_not_0_or_1",
       [good](const TempFolder& folder) {
         DataOptions options = npy(good, npy_header("|u1", "(2, 2)") + bytes({0, 1, 1, 3}))(folder);
         options.csv.task = LearningTask::multi_label;
         return options;
       },
       "y.npy", "row 1, column 1", "0 or 1, found 3"},
      {"npy_other_count", labels(npy_header("|u1", "(3,)") + bytes({0, 1, 2})), "y.npy",
       "2 samples", "3 labels"},
  };
}

// --- Text ----------------------------------------------------------------------------------------

Make text(const std::string& content, std::int64_t context = 4, const std::string& test = "") {
  return [=](const TempFolder& folder) {
    DataOptions options = options_of(DataName::text, folder.write("t.txt", content));
    options.context = context;
    if (!test.empty()) options.test_path = folder.write("u.txt", test).string();
    return options;
  };
}

std::vector<Malformed> text_table() {
  return {
      {"text_empty", text(""), "t.txt", "byte 0", "the file is empty"},
      {"text_mark_alone", text("\xEF\xBB\xBF"), "t.txt", "byte 3", "the file is empty"},
      {"text_not_utf8", text("good \xFF text"), "t.txt", "byte 5", "found the byte ff"},
      {"text_cut_character", text("good text \xE2\x82"), "t.txt", "byte 10", "found the byte e2"},
      {"text_overlong", text("good \xC0\x80 text"), "t.txt", "byte 5", "found the byte c0"},
      {"text_surrogate", text("good \xED\xA0\x80"), "t.txt", "byte 5", "found the byte ed"},
      {"text_short", text("four"), "t.txt", "4 characters", "data.context + 1 = 5"},
      {"text_test_not_utf8", text("good text", 4, "good\x80"), "u.txt", "byte 4", "the byte 80"},
      {"text_test_unknown", text("good text", 4, "good\ntext"), "u.txt", "byte 4", "U+000A"},
      {"text_test_short", text("good text", 4, "good"), "u.txt", "4 characters", "+ 1 = 5"},
  };
}

// --- Pictures ------------------------------------------------------------------------------------

Make folder_with(const std::string& name, const std::string& content) {
  return [=](const TempFolder& folder) {
    std::filesystem::create_directories(folder / "data/a");
    folder.write("data/a/1.png", png_file(gradient(3, 8, 8)));
    std::filesystem::create_directories((folder / name).parent_path());
    folder.write(name, content);
    return options_of(DataName::image_folder, folder / "data");
  };
}
Make picture(const std::string& content) { return folder_with("data/a/2.jpg", content); }

std::vector<Malformed> picture_table() {
  const std::string jpeg = jpeg_file(gradient(3, 32, 32));
  const std::string png = png_file(gradient(3, 32, 32));
  const std::string file = "data/a/2.jpg";
  const std::string decode = "does not decode";
  std::string huge = jpeg;
  huge.replace(huge.find("\xFF\xC0") + 5, 4, "\xFF\xDC\xFF\xDC");
  std::string flat = jpeg;
  flat.replace(flat.find("\xFF\xC0") + 5, 2, std::string(2, '\0'));
  std::string tables = jpeg;
  tables.replace(tables.find("\xFF\xDB"), 2,
                 "\xFF\xFE");  // a comment in place of quantisation tables
  return {
      {"picture_empty", picture(""), file, "byte 0", "found an empty file"},
      {"picture_gif", picture("GIF89a"), file, "byte 0", "found 47 49 46 38 39 61"},
      {"picture_text", picture("<html>"), file, "byte 0", "expected a JPEG"},
      {"jpeg_start_alone", picture("\xFF\xD8\xFF"), file, "JPEG", decode},
      {"jpeg_cut_header", picture(jpeg.substr(0, 30)), file, "JPEG", decode},
      {"jpeg_cut_pixels", picture(jpeg.substr(0, jpeg.size() - 100)), file, "JPEG", decode},
      {"jpeg_without_tables", picture(tables), file, "JPEG", decode},
      {"jpeg_size_0", picture(flat), file, "JPEG", decode},
      {"jpeg_absurd_size", picture(huge), file, "65500 x 65500", "in a file of"},
      {"jpeg_cmyk", picture(jpeg_file(gradient(4, 8, 8))), file, "JPEG", "found CMYK"},
      {"png_start_alone", picture(png.substr(0, 8)), file, "byte 8", "it is cut short"},
      {"png_cut_pixels", picture(png.substr(0, png.size() / 2)), file, "byte", "it is cut short"},
      {"png_without_end", picture(png.substr(0, png.size() - 12)), file, "byte", decode},
      {"png_header_checksum", picture(altered(png, 30)), file, "byte", decode},
      {"png_pixel_checksum", picture(altered(png, -20)), file, "byte", decode},
      {"picture_other_size", picture(jpeg), file, "32 x 32", "as of the first picture"},
      {"folder_other_file", folder_with("data/a/notes.txt", ""), "data/a/notes.txt",
       "the folder of a class", "another kind of file"},
      {"folder_empty_class",
       [](const TempFolder& folder) {
         std::filesystem::create_directories(folder / "data/a");
         return options_of(DataName::image_folder, folder / "data");
       },
       "data/a", "the pictures of a class", "found none"},
      {"folder_no_class",
       [](const TempFolder& folder) { return options_of(DataName::image_folder, folder.path()); },
       "shoal-test.", "a folder for each class", "found none"},
      {"folder_test_classes",
       [](const TempFolder& folder) {
         const DataOptions options =
             folder_with("data/test/b/1.png", png_file(gradient(3, 8, 8)))(folder);
         std::filesystem::create_directories(folder / "data/train");
         std::filesystem::rename(folder / "data/a", folder / "data/train/a");
         return options;
       },
       "data/test", "the classes of", "found 'b'"},
  };
}

std::vector<Malformed> whole_table() {
  std::vector<Malformed> all;
  for (const auto& table :
       {idx_table(), cifar_table(), csv_table(), npy_table(), text_table(), picture_table()}) {
    all.insert(all.end(), table.begin(), table.end());
  }
  return all;
}

class MalformedInput : public testing::TestWithParam<Malformed> {};

TEST_P(MalformedInput, IsRefusedInOneSentenceThatNamesFileAndPlace) {
  const TempFolder folder;
  DataOptions options = GetParam().make(folder);
  options.normalize = Normalize::none;
  const std::string sentence = refusal([&] {
    const DataSplits splits = open_data(options, 1);
    read_all(*splits.train);
    read_all(*splits.test);
  });
  EXPECT_THAT(sentence, HasSubstr(GetParam().file));
  EXPECT_THAT(sentence, HasSubstr(GetParam().place));
  EXPECT_THAT(sentence, HasSubstr(GetParam().fault));
  EXPECT_EQ(sentence.find('\n'), std::string::npos) << sentence;
  EXPECT_LT(sentence.size(), 500u) << sentence;
}

INSTANTIATE_TEST_SUITE_P(AllFormats, MalformedInput, testing::ValuesIn(whole_table()),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace shoal
