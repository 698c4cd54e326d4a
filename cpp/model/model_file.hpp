// Model files of mdkern: a potential's fields in the layout of safetensors.
//
//   8 bytes            length of the header, little endian
//   header             JSON: {"__metadata__": {NAME: TEXT, ...}, FIELD: {"dtype": "F64", "shape": [..],
//                      "data_offsets": [begin, end]}, ...}, perhaps blanks behind it
//   data               arrays in C order, little endian, one behind the other without gaps
//
// The metadata has "mdkern.model": "1", the version of this format; "mdkern.species": chemical symbols
// with blanks between them, in the order of the species numbers, or "" for any element, all alike; and
// "mdkern.text.NAME" for the field NAME that is a text. Types: F64, F32, I64, I32, U8.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/fields.hpp"
#include "model/potential.hpp"

namespace mdkern {

// The file does not follow the format; the message names it.
struct FileFormatError : std::runtime_error {
    using std::runtime_error::runtime_error;
};
// The file cannot be read.
struct FileReadError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct ModelFile {
    Fields fields;
    std::vector<std::string> species;  // empty: any
};

// Sizes are checked before memory is taken: what the file can make this take is some times its own
// size. Throws FileFormatError, FileReadError.
ModelFile read_model_file(const std::string& path);
// The potential of a file that was read; FileFormatError where its fields do not make one, or are not of
// as many species as it names.
std::shared_ptr<const Potential> make_model(const ModelFile& file, const std::string& path);

}  // namespace mdkern
