#include "core/fields.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "core/buffers.hpp"
#include "core/errors.hpp"

namespace mdkern {

namespace {

std::string written(const std::vector<std::int64_t>& shape) {
    std::string out = "(";
    for (std::size_t k = 0; k < shape.size(); ++k)
        out += (k ? ", " : "") + (shape[k] < 0 ? std::string("n") : std::to_string(shape[k]));
    return out + ")";
}

const char* field_type_name(FieldType type) {
    constexpr const char* kNames[] = {"float64", "float32", "int64", "int32", "uint8"};
    return kNames[int(type)];
}

}  // namespace

std::size_t field_type_bytes(FieldType type) {
    constexpr std::size_t kBytes[] = {8, 4, 8, 4, 1};
    return kBytes[int(type)];
}

void Fields::put(const std::string& name, FieldType type, std::vector<std::int64_t> shape,
                 const void* data) {
    // The product of the lengths must not overflow, whatever a file says.
    std::int64_t n = 1;
    for (std::int64_t length : shape) {
        if (length < 0 ||
            (length > 0 && n > (std::numeric_limits<std::int64_t>::max() >> 8) / length))
            throw std::invalid_argument(prefix_ + name + ": shape " + written(shape) +
                                        "; expected lengths whose product fits into memory");
        n *= length;
    }
    const std::size_t bytes = std::size_t(n) * field_type_bytes(type);
    auto memory = std::make_shared<Buffer<char>>();
    std::memcpy(memory->reserve(bytes + 1), data, bytes);
    all_->arrays[prefix_ + name] = {type, std::move(shape),
                                    std::shared_ptr<const void>(memory, memory->data())};
}

void Fields::put(const std::string& name, std::string text) {
    all_->texts[prefix_ + name] = std::move(text);
}

bool Fields::has(const std::string& name) const {
    return all_->arrays.count(prefix_ + name) || all_->texts.count(prefix_ + name);
}

const Fields::Array& Fields::find(const std::string& name) const {
    const auto it = all_->arrays.find(prefix_ + name);
    if (it == all_->arrays.end())
        throw std::invalid_argument(prefix_ + name + ": missing; expected an array or a number");
    return it->second;
}

const Fields::Array& Fields::find(const std::string& name, FieldType type,
                                  std::initializer_list<std::int64_t> shape) const {
    const Array& a = find(name);
    if (a.type != type)
        throw std::invalid_argument(prefix_ + name + ": " + field_type_name(a.type) +
                                    "; expected " + field_type_name(type));
    bool same = a.shape.size() == shape.size();
    for (std::size_t k = 0; same && k < shape.size(); ++k)
        same = shape.begin()[k] < 0 || shape.begin()[k] == a.shape[k];
    if (!same)
        throw std::invalid_argument(prefix_ + name + ": shape " + written(a.shape) + "; expected " +
                                    written(shape));
    return a;
}

std::int64_t Fields::length(const std::string& name, std::size_t axis) const {
    const Array& a = find(name);
    if (axis >= a.shape.size())
        throw std::invalid_argument(prefix_ + name + ": shape " + written(a.shape) +
                                    "; expected an array of more axes");
    return a.shape[axis];
}

std::int64_t Fields::size(const std::string& name) const {
    std::int64_t n = 1;
    for (std::int64_t length : find(name).shape) n *= length;
    return n;
}

double Fields::number(const std::string& name) const {
    if (find(name).type == FieldType::i64) return double(integer(name));
    const double x = *array<double>(name, {});
    if (!std::isfinite(x))
        throw std::invalid_argument(prefix_ + name + ": " + mdkern::number(x) +
                                    "; expected a finite number");
    return x;
}

double Fields::positive(const std::string& name) const {
    const double x = number(name);
    if (!(x > 0.0))
        throw std::invalid_argument(prefix_ + name + ": " + mdkern::number(x) +
                                    "; expected a number above 0");
    return x;
}

std::int64_t Fields::integer(const std::string& name) const {
    return *array<std::int64_t>(name, {});
}

int Fields::integer(const std::string& name, std::int64_t least, std::int64_t most) const {
    return within(name, integer(name), least, most);
}

int Fields::length(const std::string& name, std::size_t axis, std::int64_t least,
                   std::int64_t most) const {
    return within(name + ": length of axis " + std::to_string(axis), length(name, axis), least,
                  most);
}

int Fields::within(const std::string& what, std::int64_t n, std::int64_t least,
                   std::int64_t most) const {
    if (n < least || n > most)
        throw std::invalid_argument(prefix_ + what + ": " + std::to_string(n) + "; expected " +
                                    std::to_string(least) + " to " + std::to_string(most));
    return int(n);
}

bool Fields::flag(const std::string& name) const { return *array<std::uint8_t>(name, {}) != 0; }

const std::string& Fields::text(const std::string& name) const {
    const auto it = all_->texts.find(prefix_ + name);
    if (it == all_->texts.end())
        throw std::invalid_argument(prefix_ + name + ": missing; expected a text");
    return it->second;
}

bool Fields::any(const std::string& prefix) const {
    const auto begins = [&](const auto& map) {
        const auto it = map.lower_bound(prefix);
        return it != map.end() && it->first.compare(0, prefix.size(), prefix) == 0;
    };
    return begins(all_->arrays) || begins(all_->texts);
}

Fields Fields::group(const std::string& name) const {
    Fields out = *this;
    out.prefix_ += name + ".";
    if (!any(out.prefix_))
        throw std::invalid_argument(prefix_ + name + ": missing; expected a group of fields");
    return out;
}

std::vector<Fields> Fields::groups(const std::string& name) const {
    std::vector<Fields> out;
    for (;;) {
        const std::string next = name + "." + std::to_string(out.size());
        if (!any(prefix_ + next + ".")) return out;
        out.push_back(group(next));
    }
}

}  // namespace mdkern
