// The part of JSON that headers of model files need, read strictly: objects, texts, whole numbers from
// zero on, and lists of such numbers.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace mdkern {

struct JsonValue {
    enum class Kind { object, text, numbers } kind = Kind::text;
    std::map<std::string, JsonValue> members;
    std::string text;
    std::vector<std::int64_t> numbers;
};

// One object, and nothing but blanks behind it. Throws std::invalid_argument with the place: what is
// not such JSON, names that are there twice, objects deeper than `most_depth`.
JsonValue parse_json(const char* text, std::size_t length, int most_depth);

}  // namespace mdkern
