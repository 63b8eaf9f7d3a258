// Speaks to Apache Arrow for shoal/data/arrow_calls.h, as a module that is loaded at run time.
#include <arrow/api.h>
#include <arrow/csv/api.h>
#include <arrow/io/file.h>
#include <arrow/util/float16.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/metadata.h>

#include <stdexcept>

#include "shoal/data/arrow_calls.h"

namespace shoal {
namespace {

void require(const arrow::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.message());
}

template <typename T>
T value_of(arrow::Result<T> result) {
  require(result.status());
  return std::move(result).ValueUnsafe();
}

ArrowColumn::Kind kind_of(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL:
    case arrow::Type::INT8:
    case arrow::Type::INT16:
    case arrow::Type::INT32:
    case arrow::Type::INT64:
    case arrow::Type::UINT8:
    case arrow::Type::UINT16:
    case arrow::Type::UINT32:
    case arrow::Type::UINT64:
    case arrow::Type::HALF_FLOAT:
    case arrow::Type::FLOAT:
    case arrow::Type::DOUBLE:
      return ArrowColumn::Kind::number;
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
      return ArrowColumn::Kind::text;
    case arrow::Type::DICTIONARY: {
      const auto& values = *static_cast<const arrow::DictionaryType&>(type).value_type();
      return kind_of(values) == ArrowColumn::Kind::text ? ArrowColumn::Kind::text
                                                        : ArrowColumn::Kind::other;
    }
    default:
      return ArrowColumn::Kind::other;
  }
}

std::vector<ArrowColumn> columns_of(const arrow::Schema& schema) {
  std::vector<ArrowColumn> columns;
  for (const auto& field : schema.fields()) {
    columns.push_back({field->name(), kind_of(*field->type()), field->type()->ToString()});
  }
  return columns;
}

constexpr std::int64_t kRowsAtOnce = 4096;        // ten columns of as many doubles stay in a cache
constexpr std::int64_t kBytesAtOnce = 256 << 10;  // of a column chunk, which may be of any size

// The values of a column's arrays, converted where they are not numbers of 64 bits already. They
// are borrowed until the next array: its memory is used again.
class ColumnValues : public arrow::ArrayVisitor {
 public:
  ArrowValues of(const arrow::Array& array) {
    values_ = {};
    if (array.null_count() > 0) {
      std::int64_t i = 0;
      while (!array.IsNull(i)) ++i;
      values_.first_absent = i;
    }
    require(array.Accept(this));
    return values_;
  }

  arrow::Status Visit(const arrow::BooleanArray& a) override { return numbers(a); }
  arrow::Status Visit(const arrow::Int8Array& a) override { return numbers(a); }
  arrow::Status Visit(const arrow::Int16Array& a) override { return numbers(a); }
  arrow::Status Visit(const arrow::Int32Array& a) override { return numbers(a); }
  arrow::Status Visit(const arrow::Int64Array& a) override { return numbers(a); }
  arrow::Status Visit(const arrow::UInt8Array& a) override { return numbers(a); }
  arrow::Status Visit(const arrow::UInt16Array& a) override { return numbers(a); }
  arrow::Status Visit(const arrow::UInt32Array& a) override { return numbers(a); }
  arrow::Status Visit(const arrow::UInt64Array& a) override { return numbers(a); }
  arrow::Status Visit(const arrow::FloatArray& a) override { return numbers(a); }
  arrow::Status Visit(const arrow::DoubleArray& a) override {
    values_.numbers = {a.raw_values(), static_cast<std::size_t>(a.length())};
    return arrow::Status::OK();
  }
  arrow::Status Visit(const arrow::HalfFloatArray& a) override {
    return converted(a.length(), [&](std::int64_t i) {
      return arrow::util::Float16::FromBits(a.Value(i)).ToDouble();
    });
  }
  arrow::Status Visit(const arrow::StringArray& a) override { return texts(a); }
  arrow::Status Visit(const arrow::LargeStringArray& a) override { return texts(a); }
  arrow::Status Visit(const arrow::DictionaryArray& a) override {
    ARROW_RETURN_NOT_OK(a.dictionary()->Accept(this));
    const std::vector<std::string_view> words = std::move(texts_);
    texts_.clear();
    for (std::int64_t i = 0; i < a.length(); ++i) {
      texts_.push_back(a.IsNull(i) ? "" : words.at(static_cast<std::size_t>(a.GetValueIndex(i))));
    }
    values_.texts = texts_;
    return arrow::Status::OK();
  }

 private:
  template <typename Value>
  arrow::Status converted(std::int64_t count, const Value& value) {
    numbers_.resize(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) numbers_[static_cast<std::size_t>(i)] = value(i);
    values_.numbers = numbers_;
    return arrow::Status::OK();
  }
  template <typename Array>
  arrow::Status numbers(const Array& array) {
    return converted(array.length(),
                     [&](std::int64_t i) { return static_cast<double>(array.Value(i)); });
  }
  template <typename Array>
  arrow::Status texts(const Array& array) {
    texts_.clear();
    for (std::int64_t i = 0; i < array.length(); ++i) texts_.push_back(array.GetView(i));
    values_.texts = texts_;
    return arrow::Status::OK();
  }

  ArrowValues values_;
  std::vector<double> numbers_;
  std::vector<std::string_view> texts_;
};

// All of `reader`; `places`: of the columns that were asked for, in its batches.
void give_all(arrow::RecordBatchReader& reader, const std::vector<int>& places,
              const TakeArrowRows& take) {
  std::vector<ColumnValues> columns(places.size());
  std::vector<ArrowValues> values(places.size());
  std::shared_ptr<arrow::RecordBatch> batch;
  std::int64_t first = 0;
  for (;;) {
    require(reader.ReadNext(&batch));
    if (batch == nullptr) return;
    for (std::size_t i = 0; i < places.size(); ++i) {
      values[i] = columns[i].of(*batch->column(places[i]));
    }
    take({.first = first, .count = batch->num_rows(), .columns = values});
    first += batch->num_rows();
  }
}

class ParquetTable final : public ArrowTable {
 public:
  explicit ParquetTable(const std::string& path) {
    auto file = value_of(arrow::io::ReadableFile::Open(path));
    parquet::ReaderProperties pages = parquet::default_reader_properties();
    pages.enable_buffered_stream();  // else a whole column chunk is in memory, and out of the cache
    pages.set_buffer_size(kBytesAtOnce);
    parquet::ArrowReaderProperties properties;
    properties.set_pre_buffer(false);
    properties.set_use_threads(false);  // shoal has threads of its own, and cores are theirs
    properties.set_batch_size(kRowsAtOnce);
    parquet::arrow::FileReaderBuilder builder;
    require(builder.Open(file, pages));
    reader_ = value_of(builder.properties(properties)->Build());
    require(reader_->GetSchema(&schema_));
  }
  std::vector<ArrowColumn> columns() override { return columns_of(*schema_); }
  std::vector<std::int64_t> group_rows() override {
    const auto metadata = reader_->parquet_reader()->metadata();
    std::vector<std::int64_t> rows;
    for (int i = 0; i < metadata->num_row_groups(); ++i) {
      rows.push_back(metadata->RowGroup(i)->num_rows());
    }
    return rows;
  }
  void read(int group, const std::vector<int>& columns, const TakeArrowRows& take) override {
    // Parquet numbers the leaves of nested columns; those that are read have one each.
    std::vector<int> leaves;
    for (const int column : columns) {
      leaves.push_back(reader_->manifest().schema_fields[column].column_index);
    }
    const auto batches = value_of(reader_->GetRecordBatchReader({group}, leaves));
    std::vector<int> places;
    for (const int column : columns) {
      const std::string& name = schema_->field(column)->name();
      places.push_back(batches->schema()->GetFieldIndex(name));
      if (places.back() < 0) throw std::runtime_error("two columns are named '" + name + "'");
    }
    give_all(*batches, places, take);
  }

 private:
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::shared_ptr<arrow::Schema> schema_;
};

class CsvTextTable final : public ArrowTable {
 public:
  CsvTextTable(const std::string& path, char separator, bool has_names) {
    auto file = value_of(arrow::io::ReadableFile::Open(path));
    auto read = arrow::csv::ReadOptions::Defaults();
    read.use_threads = false;
    read.autogenerate_column_names = !has_names;
    auto parse = arrow::csv::ParseOptions::Defaults();
    parse.delimiter = separator;
    parse.newlines_in_values = true;
    const auto convert = arrow::csv::ConvertOptions::Defaults();
    auto reader = value_of(
        arrow::csv::TableReader::Make(arrow::io::default_io_context(), file, read, parse, convert));
    table_ = value_of(reader->Read());
  }
  std::vector<ArrowColumn> columns() override { return columns_of(*table_->schema()); }
  std::vector<std::int64_t> group_rows() override { return {table_->num_rows()}; }
  void read(int, const std::vector<int>& columns, const TakeArrowRows& take) override {
    arrow::TableBatchReader batches(*table_);
    batches.set_chunksize(kRowsAtOnce);
    give_all(batches, columns, take);
  }

 private:
  std::shared_ptr<arrow::Table> table_;
};

class Calls final : public ArrowCalls {
 public:
  std::unique_ptr<ArrowTable> open_parquet(const std::string& path) override {
    return std::make_unique<ParquetTable>(path);
  }
  std::unique_ptr<ArrowTable> open_csv(const std::string& path, char separator,
                                       bool has_names) override {
    return std::make_unique<CsvTextTable>(path, separator, has_names);
  }
};

}  // namespace
}  // namespace shoal

extern "C" __attribute__((visibility("default"))) shoal::ArrowCalls* shoal_arrow_calls(
    int version) {
  return version == shoal::ArrowCalls::kVersion ? new shoal::Calls : nullptr;
}
