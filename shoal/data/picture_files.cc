#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "shoal/core/check.h"
#include "shoal/core/error.h"
#include "shoal/data/image_folder.h"

namespace shoal {
namespace {

bool is_hidden(const std::string& name) { return name.starts_with('.'); }

bool is_picture_name(const std::string& name) {
  std::string lower = name;
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower.ends_with(".jpg") || lower.ends_with(".jpeg") || lower.ends_with(".png");
}

// Names in a folder that are not hidden, ascending; `take` says of each whether it counts.
template <typename Take>
std::vector<std::string> names_in(const std::filesystem::path& folder, const Take& take) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (!is_hidden(name) && take(*entry, name)) names.push_back(std::move(name));
  }
  if (error) {
    throw InvalidInput(
        fmt::format("cannot read the folder {}: {}", folder.string(), error.message()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> folders_in(const std::filesystem::path& folder) {
  return names_in(folder, [](const std::filesystem::directory_entry& entry, const std::string&) {
    std::error_code ignored;
    return entry.is_directory(ignored);
  });
}

bool holds_pictures(const std::filesystem::path& folder) {
  return !names_in(folder, [](const std::filesystem::directory_entry&, const std::string& name) {
            return is_picture_name(name);
          }).empty();
}

// `of`: "a class", for messages.
std::vector<std::string> pictures_in(const std::filesystem::path& folder, std::string_view of) {
  auto names =
      names_in(folder, [&](const std::filesystem::directory_entry& entry, const std::string& name) {
        std::error_code ignored;
        if (is_picture_name(name) && !entry.is_directory(ignored)) return true;
        throw InvalidInput(
            fmt::format("{}: expected files .jpg, .jpeg or .png in the folder of {}, "
                        "found {}: take it out, or give it a name that begins with '.'",
                        entry.path().string(), of,
                        entry.is_directory(ignored) ? "a folder" : "another kind of file"));
      });
  if (names.empty()) {
    throw InvalidInput(
        fmt::format("{}: expected the pictures of {}, found none: fill the folder or take it out",
                    folder.string(), of));
  }
  return names;
}

void require_equal_classes(const PictureFiles& train, const PictureFiles& test) {
  if (train.classes() == test.classes()) return;
  const std::set<std::string> ours(train.classes().begin(), train.classes().end());
  for (const std::string& name : test.classes()) {
    if (ours.contains(name)) continue;
    throw InvalidInput(fmt::format("{}: expected the classes of {}, found '{}', which is not there",
                                   test.folder(), train.folder(), name));
  }
  const std::set<std::string> theirs(test.classes().begin(), test.classes().end());
  const auto missing = std::find_if(train.classes().begin(), train.classes().end(),
                                    [&](const auto& name) { return !theirs.contains(name); });
  throw InvalidInput(fmt::format("{}: expected the classes of {}, '{}' is missing", test.folder(),
                                 train.folder(), *missing));
}

}  // namespace

PictureFiles::PictureFiles(const std::filesystem::path& folder, const std::stop_token& stop)
    : folder_(folder.string()), classes_(folders_in(folder)) {
  if (classes_.empty()) {
    throw InvalidInput(
        fmt::format("{}: expected a folder for each class, found none: put the pictures in "
                    "{}/CLASS/",
                    folder_, folder_));
  }
  for (const std::string& name : classes_) {
    if (stop.stop_requested()) throw Cancelled(fmt::format("listing {} was stopped", folder_));
    add(name, pictures_in(folder / name, "a class"));
  }
  names_.shrink_to_fit();
  ends_.shrink_to_fit();
}

PictureFiles PictureFiles::without_labels(const std::filesystem::path& path,
                                          std::vector<std::string> classes,
                                          const std::stop_token& stop) {
  PictureFiles files;
  files.classes_ = std::move(classes);
  files.has_labels_ = false;
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    if (!std::filesystem::exists(path, error)) {
      throw InvalidInput(fmt::format("cannot read {}: there is no such file", path.string()));
    }
    files.folder_ = path.parent_path().string();
    files.add("", {path.filename().string()});
    return files;
  }
  files.folder_ = path.string();
  const std::vector<std::string> folders = folders_in(path);
  if (folders.empty()) files.add("", pictures_in(path, "inputs"));
  const bool has_both = !folders.empty() && holds_pictures(path);
  if (has_both) {
    throw InvalidInput(
        fmt::format("{}: expected pictures or folders of pictures, found both: give "
                    "each with an --input of its own",
                    path.string()));
  }
  for (const std::string& name : folders) {
    if (stop.stop_requested())
      throw Cancelled(fmt::format("listing {} was stopped", path.string()));
    files.add(name, pictures_in(path / name, "inputs"));
  }
  return files;
}

void PictureFiles::add(const std::string& subfolder, const std::vector<std::string>& names) {
  prefixes_.push_back((std::filesystem::path(folder_) / subfolder / "").string());
  first_rows_.push_back(size());
  for (const std::string& name : names) {
    names_ += name;
    ends_.push_back(names_.size());
  }
}

std::size_t PictureFiles::subfolder_of(std::int64_t row) const {
  const auto after = std::upper_bound(first_rows_.begin(), first_rows_.end(), row);
  return static_cast<std::size_t>(after - first_rows_.begin()) - 1;
}

std::int64_t PictureFiles::label(std::int64_t row) const {
  return has_labels_ ? static_cast<std::int64_t>(subfolder_of(row)) : 0;
}

// Not with std::filesystem::path, which takes a name apart: that costs more than opening the file.
std::string PictureFiles::path(std::int64_t row) const {
  check(row >= 0 && row < size(), "a picture is one of the folder");
  const auto i = static_cast<std::size_t>(row);
  const std::uint64_t begin = i == 0 ? 0 : ends_[i - 1];
  std::string path = prefixes_[subfolder_of(row)];
  return path.append(names_, begin, ends_[i] - begin);
}

ImageFolder list_image_folder(const std::filesystem::path& folder, const std::stop_token& stop) {
  std::vector<std::string> others = folders_in(folder);
  const std::size_t parts =
      std::erase_if(others, [](const auto& name) { return name == "train" || name == "test"; });
  if (parts < 2) {
    return {.train = std::make_shared<PictureFiles>(folder, stop), .test = nullptr};
  }
  if (!others.empty()) {
    throw InvalidInput(
        fmt::format("{}: expected the folders train and test alone, found {} beside them: take it "
                    "out, or rename train and test if they are classes",
                    folder.string(), fmt::join(others, ", ")));
  }
  ImageFolder both{.train = std::make_shared<PictureFiles>(folder / "train", stop),
                   .test = std::make_shared<PictureFiles>(folder / "test", stop)};
  require_equal_classes(*both.train, *both.test);
  return both;
}

}  // namespace shoal
