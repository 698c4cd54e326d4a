#include "model/json.hpp"

#include <limits>
#include <stdexcept>

namespace mdkern {

namespace {

class Parser {
public:
    Parser(const char* text, std::size_t length) : begin_(text), at_(text), end_(text + length) {}

    JsonValue document(int most_depth) {
        JsonValue value = object(most_depth);
        blanks();
        if (at_ != end_) fail("the end");
        return value;
    }

private:
    [[noreturn]] void fail(const char* expected) const {
        throw std::invalid_argument("header, byte " + std::to_string(at_ - begin_) + ": expected " +
                                    expected);
    }
    void blanks() {
        while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
    }
    bool next_is(char c) {
        blanks();
        if (at_ == end_ || *at_ != c) return false;
        ++at_;
        return true;
    }
    void take(char c, const char* expected) {
        if (!next_is(c)) fail(expected);
    }
    JsonValue value(int depth) {
        blanks();
        if (at_ != end_ && *at_ == '{') return object(depth);
        JsonValue out;
        if (at_ != end_ && *at_ == '"') {
            out.text = text();
            return out;
        }
        out.kind = JsonValue::Kind::numbers;
        take('[', "an object, a text or a list of whole numbers");
        if (next_is(']')) return out;
        do out.numbers.push_back(number());
        while (next_is(','));
        take(']', "] or ,");
        return out;
    }
    JsonValue object(int depth) {
        JsonValue out;
        out.kind = JsonValue::Kind::object;
        take('{', "{");
        if (depth == 0) fail("objects that are less deep");
        if (next_is('}')) return out;
        do {
            blanks();
            std::string name = text();
            take(':', ":");
            if (!out.members.emplace(std::move(name), value(depth - 1)).second)
                fail("names that are there once");
        } while (next_is(','));
        take('}', "} or ,");
        return out;
    }
    std::int64_t number() {
        blanks();
        if (at_ == end_ || *at_ < '0' || *at_ > '9') fail("a whole number from 0 on");
        std::int64_t n = 0;
        for (; at_ != end_ && *at_ >= '0' && *at_ <= '9'; ++at_) {
            if (n > (std::numeric_limits<std::int64_t>::max() - 9) / 10)
                fail("a number below 2^63");
            n = 10 * n + (*at_ - '0');
        }
        return n;
    }
    unsigned hexadecimal() {
        unsigned code = 0;
        for (int k = 0; k < 4; ++k, ++at_) {
            const char c = at_ == end_ ? '\0' : *at_;
            if (c >= '0' && c <= '9')
                code = 16 * code + unsigned(c - '0');
            else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
                code = 16 * code + unsigned((c | 32) - 'a') + 10;
            else
                fail("four hexadecimal digits");
        }
        return code;
    }
    // A character that is written \uXXXX, as UTF-8; those of two such codes are not taken.
    void append(std::string& to, unsigned code) const {
        if (code >= 0xD800 && code < 0xE000) fail("a character of one code");
        if (code < 0x80) {
            to += char(code);
        } else if (code < 0x800) {
            to += char(0xC0 | (code >> 6));
            to += char(0x80 | (code & 0x3F));
        } else {
            to += char(0xE0 | (code >> 12));
            to += char(0x80 | ((code >> 6) & 0x3F));
            to += char(0x80 | (code & 0x3F));
        }
    }
    std::string text() {
        take('"', "a text");
        std::string out;
        for (;;) {
            if (at_ == end_ || static_cast<unsigned char>(*at_) < 0x20)
                fail("\" at the text's end");
            const char c = *at_++;
            if (c == '"') return out;
            if (static_cast<unsigned char>(c) >= 0x80) fail("ASCII; other characters as \\uXXXX");
            if (c != '\\') {
                out += c;
                continue;
            }
            static const std::string kNames = "\"\\/bfnrt", kMeant = "\"\\/\b\f\n\r\t";
            const std::size_t k = at_ == end_ ? std::string::npos : kNames.find(*at_);
            if (k != std::string::npos) {
                out += kMeant[k];
                ++at_;
            } else if (at_ != end_ && *at_ == 'u') {
                ++at_;
                append(out, hexadecimal());
            } else {
                fail("a known character after \\");
            }
        }
    }

    const char *begin_, *at_, *end_;
};

}  // namespace

JsonValue parse_json(const char* text, std::size_t length, int most_depth) {
    return Parser(text, length).document(most_depth);
}

}  // namespace mdkern
