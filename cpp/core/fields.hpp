// What a model consists of: arrays, numbers and texts by name. Readers of files make them; a
// potential is made from them, and keeps them as long as its kernels read their memory.
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

// Everything that reads throws std::invalid_argument with the name of the field, what it is and what
// was expected.
class Fields {
public:
    // C order, aligned to cache lines. A number is an array without axes.
    struct Array {
        FieldType type = FieldType::f64;
        std::vector<std::int64_t> shape;
        std::shared_ptr<const void> data;
    };

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
    std::int64_t length(const std::string& name, std::size_t axis) const;
    double number(const std::string& name) const;
    std::int64_t integer(const std::string& name) const;
    bool flag(const std::string& name) const;
    const std::string& text(const std::string& name) const;

private:
    const Array& find(const std::string& name) const;
    const Array& find(const std::string& name, FieldType type,
                      std::initializer_list<std::int64_t> shape) const;
    std::map<std::string, Array> arrays_;
    std::map<std::string, std::string> texts_;
};

}  // namespace mdkern
