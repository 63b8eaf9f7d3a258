// Pictures in folders, one a class: FOLDER/CLASS/FILE.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/data/dataset.h"
#include "shoal/data/picture.h"
#include "shoal/data/scaling.h"

namespace shoal {

class PictureRenderer;

// The names of all pictures, by class and then by name, both in the order of their bytes. Memory:
// 8 bytes a picture and its name.
class PictureFiles {
 public:
  // Lists `folder`. Names that begin with '.' are left out; everything else in a class's folder has
  // to be a file named .jpg, .jpeg or .png, in large or small letters. Throws InvalidInput naming
  // what is wrong: no class folder, one without pictures, another kind of file or folder in one.
  explicit PictureFiles(const std::filesystem::path& folder, const std::stop_token& stop = {});
  // Pictures of unknown class, in the same order: one file, the files of a folder, or those of its
  // folders. They belong to data of `classes`; their label is 0. Throws as above, and for a folder
  // with both.
  static PictureFiles without_labels(const std::filesystem::path& path,
                                     std::vector<std::string> classes,
                                     const std::stop_token& stop = {});

  const std::string& folder() const { return folder_; }
  const std::vector<std::string>& classes() const { return classes_; }
  std::int64_t size() const { return static_cast<std::int64_t>(ends_.size()); }
  std::int64_t label(std::int64_t row) const;
  std::string path(std::int64_t row) const;

 private:
  PictureFiles() = default;
  void add(const std::string& subfolder, const std::vector<std::string>& names);
  std::size_t subfolder_of(std::int64_t row) const;

  std::string folder_;
  std::vector<std::string> classes_;
  bool has_labels_ = true;                // subfolders are the classes
  std::vector<std::string> prefixes_;     // of paths, for each subfolder: "pics/cat/"
  std::vector<std::int64_t> first_rows_;  // of each subfolder
  std::string names_;                     // all of them, one after the other
  std::vector<std::uint64_t> ends_;       // of each name in names_
};

struct ImageFolder {
  std::shared_ptr<const PictureFiles> train;  // shared with the data sets that read them
  std::shared_ptr<const PictureFiles> test;   // null: there is no such folder
};

// FOLDER/train/CLASS/FILE and FOLDER/test/CLASS/FILE when both folders are there, else
// FOLDER/CLASS/FILE. Throws InvalidInput as PictureFiles does, and when the two name other classes,
// or stand beside other folders.
ImageFolder list_image_folder(const std::filesystem::path& folder,
                              const std::stop_token& stop = {});

// How pictures of any size become samples of one.
struct PictureFit {
  int resize = 0;  // shorter side in pixels, by the triangle filter; 0: as stored
  int crop = 0;    // side of the square from the middle; 0: all of it

  PictureSize resized(PictureSize picture) const;
  // The cut of an evaluation. Of a crop that is larger than the picture, nothing.
  std::optional<PictureCut> cut(PictureSize picture) const;
  PictureSize window(PictureSize picture) const;  // the sample's size, when a picture fits
};

// Pictures that are decoded when a batch is read: each worker decodes those of its own part.
// Opening reads one header. Reading throws as PictureDecoder does, and Corrupt for a picture whose
// size does not fit the samples.
class ImageFolderDataset : public Dataset {
 public:
  ImageFolderDataset(std::string name, std::shared_ptr<const PictureFiles> files,
                     const PictureFit& fit, PictureSize window, const Scaling& scaling);
  ~ImageFolderDataset() override;
  void read(std::span<const std::int64_t> ids, Batch& out) const override;
  bool has_pictures() const override { return true; }
  void read_augmented(std::span<const std::int64_t> ids, const Augmentation& augmentation,
                      Batch& out) const override;

 private:
  void read_altered(std::span<const std::int64_t> ids, const Augmentation* augmentation,
                    Batch& out) const;

  std::shared_ptr<const PictureFiles> files_;
  PictureFit fit_;
  std::unique_ptr<const PictureRenderer> renderer_;
};

// Means and deviations of the colours of pictures as an evaluation sees them. Decodes up to 2^26
// pixels of samples (65,536 of 32x32, 1,337 of 224x224), evenly spaced among `rows`: a second or
// two of one core. Throws as reading does; Cancelled after a stop.
Normalization measure(const PictureFiles& files, const PictureFit& fit, PictureSize window,
                      std::span<const std::int64_t> rows, const std::stop_token& stop = {});

}  // namespace shoal
