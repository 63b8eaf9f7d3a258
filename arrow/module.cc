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

// Appends the values of one chunk.
class Taking : public arrow::ArrayVisitor {
 public:
  explicit Taking(ArrowValues& values) : values_(values) {}

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
  arrow::Status Visit(const arrow::DoubleArray& a) override { return numbers(a); }
  arrow::Status Visit(const arrow::HalfFloatArray& a) override {
    for (std::int64_t i = 0; i < a.length(); ++i) {
      values_.numbers.push_back(
          static_cast<double>(arrow::util::Float16::FromBits(a.Value(i)).ToFloat()));
    }
    return arrow::Status::OK();
  }
  arrow::Status Visit(const arrow::StringArray& a) override { return texts(a); }
  arrow::Status Visit(const arrow::LargeStringArray& a) override { return texts(a); }
  arrow::Status Visit(const arrow::DictionaryArray& a) override {
    ArrowValues words;
    ARROW_RETURN_NOT_OK(a.dictionary()->Accept(std::make_unique<Taking>(words).get()));
    for (std::int64_t i = 0; i < a.length(); ++i) {
      values_.texts.push_back(
          a.IsNull(i) ? "" : words.texts.at(static_cast<std::size_t>(a.GetValueIndex(i))));
    }
    return arrow::Status::OK();
  }

 private:
  template <typename Array>
  arrow::Status numbers(const Array& array) {
    for (std::int64_t i = 0; i < array.length(); ++i) {
      values_.numbers.push_back(static_cast<double>(array.Value(i)));
    }
    return arrow::Status::OK();
  }
  template <typename Array>
  arrow::Status texts(const Array& array) {
    for (std::int64_t i = 0; i < array.length(); ++i) values_.texts.push_back(array.GetString(i));
    return arrow::Status::OK();
  }

  ArrowValues& values_;
};

ArrowValues values_of(const arrow::ChunkedArray& column) {
  ArrowValues values;
  std::int64_t row = 0;
  for (const auto& chunk : column.chunks()) {
    Taking taking(values);
    require(chunk->Accept(&taking));
    for (std::int64_t i = 0; values.first_absent < 0 && i < chunk->length(); ++i) {
      if (chunk->IsNull(i)) values.first_absent = row + i;
    }
    row += chunk->length();
  }
  return values;
}

class ParquetTable final : public ArrowTable {
 public:
  explicit ParquetTable(const std::string& path) {
    auto file = value_of(arrow::io::ReadableFile::Open(path));
    reader_ = value_of(parquet::arrow::OpenFile(file, arrow::default_memory_pool()));
    reader_->set_use_threads(false);  // shoal has threads of its own, and cores are theirs
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
  std::vector<ArrowValues> read(int group, const std::vector<int>& columns) override {
    // Parquet numbers the leaves of nested columns; those that are read have one each.
    std::vector<int> leaves;
    for (const int column : columns) {
      leaves.push_back(reader_->manifest().schema_fields[column].column_index);
    }
    const std::shared_ptr<arrow::Table> table = value_of(reader_->ReadRowGroup(group, leaves));
    std::vector<ArrowValues> values;
    for (const int column : columns) {
      values.push_back(values_of(*table->GetColumnByName(schema_->field(column)->name())));
    }
    return values;
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
  std::vector<ArrowValues> read(int, const std::vector<int>& columns) override {
    std::vector<ArrowValues> values;
    for (const int column : columns) values.push_back(values_of(*table_->column(column)));
    return values;
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
