#include "model/model_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <sstream>

#include "model/json.hpp"

namespace mdkern {

namespace {

constexpr std::int64_t kMostHeader = std::int64_t(16) << 20;
constexpr int kMostAxes = 8;

// Little endian, whatever the machine.
std::uint64_t length_of(const unsigned char* bytes) {
    std::uint64_t n = 0;
    for (int k = 8; k-- > 0;) n = (n << 8) | bytes[k];
    return n;
}

std::vector<char> bytes_of(const std::string& path) {
    const auto fail = [&] { throw FileReadError(path + ": " + std::strerror(errno)); };
#if defined(_WIN32)  // where fopen takes names in the code page of the system
    std::FILE* opened = _wfopen(std::filesystem::u8path(path).c_str(), L"rb");
#else
    std::FILE* opened = std::fopen(path.c_str(), "rb");
#endif
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(opened, &std::fclose);
    if (!file) fail();
    // As they come: what a file says of its size may be wrong.
    std::vector<char> bytes;
    for (std::size_t room = 1 << 16;;
         room = std::min<std::size_t>(2 * room, std::size_t(1) << 26)) {
        const std::size_t had = bytes.size();
        bytes.resize(had + room);
        const std::size_t n = std::fread(bytes.data() + had, 1, room, file.get());
        bytes.resize(had + n);
        if (std::ferror(file.get())) fail();
        if (n == 0) return bytes;
    }
}

FieldType type_of(const std::string& name, const std::string& dtype) {
    constexpr std::pair<const char*, FieldType> kTypes[] = {{"F64", FieldType::f64},
                                                            {"F32", FieldType::f32},
                                                            {"I64", FieldType::i64},
                                                            {"I32", FieldType::i32},
                                                            {"U8", FieldType::u8}};
    for (const auto& [known, type] : kTypes)
        if (dtype == known) return type;
    throw std::invalid_argument(name + ": dtype '" + dtype +
                                "'; expected F64, F32, I64, I32 or U8");
}

const JsonValue& member(const std::string& name, const JsonValue& entry, const char* key,
                        JsonValue::Kind kind) {
    const auto it = entry.members.find(key);
    if (entry.kind != JsonValue::Kind::object || it == entry.members.end() ||
        it->second.kind != kind)
        throw std::invalid_argument(name + ": expected an object with dtype, shape, data_offsets");
    return it->second;
}

struct Entry {
    std::string name;
    FieldType type;
    std::vector<std::int64_t> shape;
    std::int64_t begin, end;
};

Entry entry_of(const std::string& name, const JsonValue& value) {
    Entry e;
    e.name = name;
    e.type = type_of(name, member(name, value, "dtype", JsonValue::Kind::text).text);
    e.shape = member(name, value, "shape", JsonValue::Kind::numbers).numbers;
    const auto& offsets = member(name, value, "data_offsets", JsonValue::Kind::numbers).numbers;
    if (int(e.shape.size()) > kMostAxes)
        throw std::invalid_argument(name + ": " + std::to_string(e.shape.size()) +
                                    " axes; expected at most " + std::to_string(kMostAxes));
    if (offsets.size() != 2 || offsets[0] > offsets[1])
        throw std::invalid_argument(name + ": data_offsets: expected a begin and an end behind it");
    e.begin = offsets[0];
    e.end = offsets[1];
    // Lengths that are numbers of int everywhere, and their product without overflow.
    const std::int64_t room = (e.end - e.begin) / std::int64_t(field_type_bytes(e.type));
    std::int64_t n = std::count(e.shape.begin(), e.shape.end(), 0) > 0 ? 0 : 1;
    for (std::int64_t length : e.shape) {
        if (length > std::numeric_limits<std::int32_t>::max())
            throw std::invalid_argument(name + ": shape: " + std::to_string(length) +
                                        "; expected less than 2^31");
        if (n > 0) n = n > room / length ? -1 : n * length;
    }
    if (n * std::int64_t(field_type_bytes(e.type)) != e.end - e.begin)
        throw std::invalid_argument(name + ": data_offsets of " + std::to_string(e.end - e.begin) +
                                    " bytes; expected as many as the shape needs");
    return e;
}

void put_texts(ModelFile& out, const JsonValue& metadata) {
    const std::string own = "mdkern.", text = "mdkern.text.";
    bool known = false;
    for (const auto& [name, value] : metadata.members) {
        if (value.kind != JsonValue::Kind::text)
            throw std::invalid_argument("__metadata__: " + name + ": expected a text");
        if (name == "mdkern.model") {
            if (value.text != "1")
                throw std::invalid_argument("mdkern.model: '" + value.text +
                                            "'; expected 1, the version of the format");
            known = true;
        } else if (name == "mdkern.species") {
            std::istringstream words(value.text);
            for (std::string word; words >> word;) out.species.push_back(word);
        } else if (name.compare(0, text.size(), text) == 0) {
            out.fields.put(name.substr(text.size()), value.text);
        }
    }
    if (!known || !metadata.members.count("mdkern.species"))
        throw std::invalid_argument(
            "__metadata__: expected mdkern.model and mdkern.species, as `mdkern export` writes "
            "them");
}

ModelFile parse(const std::vector<char>& bytes) {
    const auto size = std::int64_t(bytes.size());
    if (size < 8) throw std::invalid_argument("expected 8 bytes with the header's length");
    const std::uint64_t said = length_of(reinterpret_cast<const unsigned char*>(bytes.data()));
    if (said > std::uint64_t(std::min(kMostHeader, size - 8)))
        throw std::invalid_argument("header of " + std::to_string(said) +
                                    " bytes; expected at most " +
                                    std::to_string(std::min(kMostHeader, size - 8)));
    const auto length = std::int64_t(said);
    const JsonValue header = parse_json(bytes.data() + 8, std::size_t(length), 2);
    ModelFile out;
    std::vector<Entry> entries;
    for (const auto& [name, value] : header.members) {
        if (name == "__metadata__") {
            if (value.kind != JsonValue::Kind::object)
                throw std::invalid_argument("__metadata__: expected an object");
            put_texts(out, value);
        } else {
            entries.push_back(entry_of(name, value));
        }
    }
    if (!header.members.count("__metadata__"))
        throw std::invalid_argument("expected __metadata__, as `mdkern export` writes it");
    // One behind the other: so the arrays cannot be larger than the file, however many there are.
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
        return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
    });
    std::int64_t at = 0;
    for (const Entry& e : entries) {
        if (e.begin != at || e.end > size - 8 - length)
            throw std::invalid_argument(e.name + ": data_offsets [" + std::to_string(e.begin) +
                                        ", " + std::to_string(e.end) + "]; expected a begin at " +
                                        std::to_string(at) + " and an end up to " +
                                        std::to_string(size - 8 - length));
        at = e.end;
    }
    if (at != size - 8 - length)
        throw std::invalid_argument(std::to_string(size - 8 - length - at) +
                                    " bytes behind the last array; expected none");
    for (const Entry& e : entries)
        out.fields.put(e.name, e.type, e.shape, bytes.data() + 8 + length + e.begin);
    return out;
}

}  // namespace

ModelFile read_model_file(const std::string& path) {
    const std::vector<char> bytes = bytes_of(path);
    try {
        return parse(bytes);
    } catch (const std::invalid_argument& e) {
        throw FileFormatError(path + ": " + e.what());
    }
}

std::shared_ptr<const Potential> make_model(const ModelFile& file, const std::string& path) {
    try {
        auto potential = make_potential(file.fields);
        const int n = std::max(potential->traits().n_species, 1),
                  named = std::max(int(file.species.size()), 1);
        if (n != named && potential->traits().n_species > 0)
            throw std::invalid_argument("mdkern.species: " + std::to_string(named) +
                                        " symbols; expected " + std::to_string(n));
        return potential;
    } catch (const std::invalid_argument& e) {
        throw FileFormatError(path + ": " + e.what());
    }
}

}  // namespace mdkern
