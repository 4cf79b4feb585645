// SPDX-License-Identifier: Apache-2.0
// Reads a certificate that nobody vouches for. Nothing is read outside the bytes; what it unfolds to is bounded by
// Options::memory_budget; every index and enumerator is in range afterwards.
#include <algorithm>

#include <fmt/format.h>

#include "verifier/certificate/fields.hpp"
#include "verifier/certificate/items.hpp"

namespace skep::verifier {

namespace {

class Reader {
  public:
    static constexpr bool reads = true;

    Reader(const Subject& subject, std::span<const std::byte> bytes) : subject_(subject), bytes_(bytes) {}

    const Subject& subject() const { return subject_; }
    bool ok() const { return why_ == nullptr; }
    const char* why() const { return why_; }
    size_t offset() const { return failed_at_; }
    /// The first reason counts; from then on everything reads as 0.
    void fail(const char* why) {
        if (why_ != nullptr) return;
        why_ = why;
        failed_at_ = at_;
    }
    bool at_end() const { return at_ == bytes_.size(); }

    bool expect(std::span<const std::byte> data) {
        if (bytes_.size() - at_ < data.size() || !std::equal(data.begin(), data.end(), bytes_.begin() + ptrdiff(at_))) {
            return false;
        }
        at_ += data.size();
        return true;
    }
    template <typename T>
    void number(T& value, uint64_t most) {
        const uint64_t read = varint();
        if (read > most) fail("number out of range");
        value = static_cast<T>(ok() ? read : 0);
    }
    void integer(int64_t& value) {
        uint64_t read = 0;
        word(read);
        value = static_cast<int64_t>(read);
    }
    void word(uint64_t& value) {
        const uint64_t read = varint();
        value = read >> 1 ^ (uint64_t{0} - (read & 1));
    }
    void flag(bool& value) { number(value, 1); }
    void factor(int32_t& value) {
        int64_t read = 0;
        integer(read);
        if (read == 0 || read < INT32_MIN || read > INT32_MAX) fail("factor out of range");
        value = static_cast<int32_t>(ok() ? read : 1);
    }
    template <typename T>
    void index(T& value, uint64_t size) {
        number(value, UINT64_MAX >> 1);
        if (value >= size) fail("index out of range");
        if (!ok()) value = 0;
    }
    void count(uint64_t& value) { number(value, bytes_.size() - at_); }
    template <typename T>
    void delta(T& value, int64_t& near, uint64_t size) {
        int64_t step = 0;
        integer(step);
        const auto sum = static_cast<uint64_t>(near) + static_cast<uint64_t>(step);
        if (sum >= size) fail("index out of range");
        value = static_cast<T>(ok() ? sum : 0);
        near = static_cast<int64_t>(value);
    }
    template <typename E, size_t N>
    void choice(E& value, const E (&table)[N]) {
        uint64_t place = 0;
        number(place, N - 1);
        value = table[place];
    }

    void item() {
        if (!in_state_) {
            in_state_ = true;
            stream_ = at_;
        } else if (!copying_) {
            stream_ = at_;
        }
        at_ = stream_;
        while (left_ == 0 && ok()) {
            const uint64_t head = varint();
            const auto kind = static_cast<format::RunKind>(head & 3);
            left_ = static_cast<size_t>(head >> 2);
            if (left_ == 0 || left_ > bytes_.size()) return fail("malformed run");
            const bool old = kind == format::RunKind::Copy || kind == format::RunKind::Skip;
            if (old && left_ > before_.size() - cursor_) return fail("run past the disjunct before");
            copying_ = kind == format::RunKind::Copy;
            replacing_ = kind == format::RunKind::Replace;
            if (kind == format::RunKind::Skip) {
                cursor_ += left_;
                left_ = 0;
            }
        }
        if (!ok()) return;
        stream_ = at_;
        --left_;
        if (copying_) at_ = before_[cursor_];
        if ((copying_ || replacing_) && cursor_ < before_.size()) ++cursor_;
        now_.push_back(at_);
    }
    void begin_state(size_t symbols) {
        symbols_ = symbols;
        next_ = 0;
    }
    Sym& next_symbol() { return next_; }
    size_t symbol_count() const { return symbols_; }

    void end_state(const Disjunct& d) {
        if (copying_) at_ = stream_;
        if (left_ != 0) fail("more items than the disjunct has");
        in_state_ = copying_ = replacing_ = false;
        left_ = cursor_ = 0;
        std::swap(before_, now_);
        now_.clear();
        size_t cells = 0;
        for (const Frame& frame : d.state.frames) cells += frame.stack == nullptr ? 0 : frame.stack->size();
        unfolded_ += sizeof d + d.state.symbols.size() * sizeof(Symbol) + cells * sizeof(Cell) +
                     d.state.frames.size() * sizeof(Frame) + 512;
        if (unfolded_ > subject_.options.memory_budget) fail("the certificate unfolds to too much");
    }

  private:
    static ptrdiff_t ptrdiff(size_t n) { return static_cast<ptrdiff_t>(n); }

    uint64_t varint() {
        uint64_t value = 0;
        for (unsigned shift = 0; shift < 64 && ok(); shift += 7) {
            if (at_ >= bytes_.size()) {
                fail("the bytes end too early");
                break;
            }
            const auto byte = static_cast<uint64_t>(bytes_[at_++]);
            if (shift == 63 && byte > 1) fail("number of more than 64 bits");
            value |= (byte & 0x7f) << shift;
            if (byte < 0x80) return value;
        }
        return 0;
    }

    const Subject& subject_;
    std::span<const std::byte> bytes_;
    size_t at_ = 0;      ///< what is read next: in the stream, or inside a copied item
    size_t stream_ = 0;  ///< where the stream goes on after a copied item
    const char* why_ = nullptr;
    size_t failed_at_ = 0;

    std::vector<size_t> before_, now_;  ///< offsets of the items of the disjunct before and of this one
    size_t cursor_ = 0;                 ///< in before_
    size_t left_ = 0;                   ///< items left in the run
    bool in_state_ = false, copying_ = false, replacing_ = false;
    Sym next_ = 0;
    size_t symbols_ = 0;
    uint64_t unfolded_ = 0;  ///< bytes
};

Error bad(const Subject& subject, std::string what, std::string why, std::string hint = {}) {
    return Error(Errc::Rejected, Where{.function = subject.linked().name}, std::move(what), std::move(why),
                 std::move(hint));
}

}  // namespace

Result<Certificate> decode_certificate(const Subject& subject, std::span<const std::byte> bytes) {
    Reader in(subject, bytes);
    if (!in.expect(format::magic)) {
        return bad(subject, "not a certificate", "the bytes do not begin with \"SKPC\"");
    }
    uint64_t version = 0;
    in.number(version, UINT64_MAX);
    if (!in.ok() || version != format::version) {
        return bad(subject, "certificate of another version",
                   fmt::format("format version {}, this is {}", version, format::version), "verify the program again");
    }
    const SubjectDigest digest = digest_of(subject);
    if (!in.expect(digest.bytes)) {
        return bad(subject, "the certificate is not for this program",
                   "the digest of instructions, bindings, maps and options is another one", "verify the program again");
    }
    Certificate certificate;
    format::code_certificate(in, certificate);
    if (in.ok() && !in.at_end()) in.fail("bytes are left over");
    if (!in.ok()) {
        return bad(subject, "the certificate is damaged", fmt::format("byte {}: {}", in.offset(), in.why()));
    }
    // One certificate, one encoding: what has been read is written again and compared.
    if (!std::ranges::equal(format::encode(subject, digest, certificate), bytes)) {
        return bad(subject, "the certificate is damaged", "its encoding is not the canonical one");
    }
    return certificate;
}

}  // namespace skep::verifier
