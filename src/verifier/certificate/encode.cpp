// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <utility>

#include "verifier/certificate/fields.hpp"
#include "verifier/certificate/items.hpp"

namespace skep::verifier {

namespace {

class Writer {
  public:
    static constexpr bool reads = false;

    explicit Writer(const Subject& subject) : subject_(subject) {}

    const Subject& subject() const { return subject_; }
    bool ok() const { return true; }
    void fail(const char*) {}

    void bytes(std::span<const std::byte> data) { out_.insert(out_.end(), data.begin(), data.end()); }
    void number(uint64_t value, uint64_t) {
        std::vector<std::byte>& to = in_state_ ? items_ : out_;
        for (; value >= 0x80; value >>= 7) to.push_back(static_cast<std::byte>(value | 0x80));
        to.push_back(static_cast<std::byte>(value));
    }
    void integer(int64_t value) { word(static_cast<uint64_t>(value)); }
    void word(uint64_t value) { number(value << 1 ^ (uint64_t{0} - (value >> 63)), UINT64_MAX); }
    void flag(bool value) { number(value, 1); }
    void factor(int32_t value) { integer(value); }
    void index(uint64_t value, size_t) { number(value, UINT64_MAX); }
    void count(uint64_t value) { number(value, UINT64_MAX); }
    void delta(uint64_t value, int64_t& near, uint64_t) {
        integer(static_cast<int64_t>(value) - near);
        near = static_cast<int64_t>(value);
    }
    template <typename E, size_t N>
    void choice(E value, const E (&table)[N]) {
        uint64_t place = 0;
        while (place + 1 < N && table[place] != value) ++place;
        number(place, N - 1);
    }

    void item() {
        in_state_ = true;
        starts_.push_back(items_.size());
    }
    void begin_state(size_t symbols) {
        symbols_ = symbols;
        next_ = 0;
    }
    Sym& next_symbol() { return next_; }
    size_t symbol_count() const { return symbols_; }

    /// Tells the disjunct's items against those of the one before.
    void end_state(const Disjunct&) {
        in_state_ = false;
        starts_.push_back(items_.size());
        const auto items = [](const std::vector<std::byte>& buffer, const std::vector<size_t>& starts) {
            std::vector<format::Item> out;
            for (size_t i = 0; i + 1 < starts.size(); ++i) {
                out.push_back(std::span(buffer).subspan(starts[i], starts[i + 1] - starts[i]));
            }
            return out;
        };
        const std::vector<format::Item> now = items(items_, starts_), before = items(items_before_, starts_before_);
        size_t at = 0;
        for (const format::Run& run : format::difference(before, now)) {
            number(static_cast<uint64_t>(run.kind) | uint64_t{run.count} << 2, UINT64_MAX);
            if (run.kind == format::RunKind::Skip) continue;
            for (size_t i = 0; i < run.count; ++i, ++at) {
                if (run.kind != format::RunKind::Copy) bytes(now[at]);
            }
        }
        std::swap(items_, items_before_);
        std::swap(starts_, starts_before_);
        items_.clear();
        starts_.clear();
    }

    std::vector<std::byte> take() { return std::move(out_); }

  private:
    const Subject& subject_;
    std::vector<std::byte> out_;
    std::vector<std::byte> items_, items_before_;  ///< of this disjunct and the one before, one after the other
    std::vector<size_t> starts_, starts_before_;   ///< where each begins; then the end
    bool in_state_ = false;
    Sym next_ = 0;
    size_t symbols_ = 0;
};

}  // namespace

std::vector<std::byte> format::encode(const Subject& subject, const SubjectDigest& digest,
                                      const Certificate& certificate) {
    Writer out(subject);
    out.bytes(format::magic);
    out.number(format::version, format::version);
    out.bytes(digest.bytes);
    format::code_certificate(out, certificate);
    return out.take();
}

std::vector<std::byte> encode_certificate(const Subject& subject, const Certificate& certificate) {
    return format::encode(subject, digest_of(subject), certificate);
}

}  // namespace skep::verifier
