// What a model consists of: arrays, numbers and texts by name. Readers of files make them; a
// potential is made from them, and keeps them as long as its kernels read their memory.
//
// A name may have several parts, "net.layers.0.w": what begins alike is a group, whose members are
// reached by the rest of their names.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace mdkern {

enum class FieldType : int { f64, f32, i64, i32, u8 };

template <class T> struct FieldTypeOf;
template <> struct FieldTypeOf<double> {
    static constexpr FieldType value = FieldType::f64;
};
template <> struct FieldTypeOf<float> {
    static constexpr FieldType value = FieldType::f32;
};
template <> struct FieldTypeOf<std::int64_t> {
    static constexpr FieldType value = FieldType::i64;
};
template <> struct FieldTypeOf<std::int32_t> {
    static constexpr FieldType value = FieldType::i32;
};
template <> struct FieldTypeOf<std::uint8_t> {
    static constexpr FieldType value = FieldType::u8;
};
std::size_t field_type_bytes(FieldType type);

// Everything that reads throws std::invalid_argument with the whole name of the field, what it is and
// what was expected. Copies and groups share their memory.
class Fields {
public:
    // C order, aligned to cache lines. A number is an array without axes.
    struct Array {
        FieldType type = FieldType::f64;
        std::vector<std::int64_t> shape;
        std::shared_ptr<const void> data;
    };

    Fields() : all_(std::make_shared<All>()) {}
    // A copy of `data`, of as many values as `shape` has places.
    void put(const std::string& name, FieldType type, std::vector<std::int64_t> shape,
             const void* data);
    void put(const std::string& name, std::string text);

    bool has(const std::string& name) const;
    // A length of -1 in `shape` accepts any.
    template <class T>
    const T* array(const std::string& name, std::initializer_list<std::int64_t> shape) const {
        return static_cast<const T*>(find(name, FieldTypeOf<T>::value, shape).data.get());
    }
    // A copy of the array's values.
    std::vector<double> values(const std::string& name,
                               std::initializer_list<std::int64_t> shape) const {
        const double* data = array<double>(name, shape);
        return {data, data + size(name)};
    }
    std::int64_t length(const std::string& name, std::size_t axis) const;
    // A length from `least` to `most`.
    int length(const std::string& name, std::size_t axis, std::int64_t least,
               std::int64_t most) const;
    std::int64_t size(const std::string& name) const;
    // A finite number; and one above zero.
    double number(const std::string& name) const;
    double positive(const std::string& name) const;
    std::int64_t integer(const std::string& name) const;
    // An integer from `least` to `most`.
    int integer(const std::string& name, std::int64_t least, std::int64_t most) const;
    bool flag(const std::string& name) const;
    const std::string& text(const std::string& name) const;
    // The group `name`; and the groups name.0, name.1, ..., as far as they go.
    Fields group(const std::string& name) const;
    std::vector<Fields> groups(const std::string& name) const;
    // What names of this group begin with: "", or "net." and the like.
    const std::string& prefix() const { return prefix_; }

    // body(whole name, array) and body(whole name, text) for all of them.
    template <class Body> void each(const Body& body) const {
        for (const auto& [name, array] : all_->arrays) body(name, array);
    }
    template <class Body> void each_text(const Body& body) const {
        for (const auto& [name, text] : all_->texts) body(name, text);
    }

private:
    struct All {
        std::map<std::string, Array> arrays;
        std::map<std::string, std::string> texts;
    };
    bool any(const std::string& prefix) const;
    int within(const std::string& what, std::int64_t n, std::int64_t least,
               std::int64_t most) const;
    const Array& find(const std::string& name) const;
    const Array& find(const std::string& name, FieldType type,
                      std::initializer_list<std::int64_t> shape) const;
    std::shared_ptr<All> all_;
    std::string prefix_;
};

}  // namespace mdkern
