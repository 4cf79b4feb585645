// SPDX-License-Identifier: Apache-2.0
// The canonical dialect is llvm-objdump's: each row with several operands, and everything that clang makes of a C
// source for -mcpu=v1 to v4, is printed by both and compared. Needs clang-19 and the LLVM 19 tools; skips without.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/bytes.hpp"
#include "isa/disasm.hpp"

namespace skep::isa {
namespace {

constexpr const char* source = R"(
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
typedef signed char s8; typedef short s16; typedef int s32; typedef long long s64;
static u64 (*helper)(u64, u64) = (void *)7;
u64 global;
__attribute__((noinline)) static u64 callee(u64 a, s32 b) { return a * 3 + (a >> (b & 63)); }
u64 arithmetic(u64 a, u32 b, s64 c, s32 d) {
    a += b; a ^= 0x123456789abcdefULL; b = b * 7 / (u32)a; a |= a % (b + 1); c >>= 3; d >>= 5; c -= d; a <<= 9;
    return -a + (s64)(s8)b + (s64)(s16)d + (s32)c + ~b;
}
u64 order(u64 a) { return __builtin_bswap16(a) + __builtin_bswap32(a) + __builtin_bswap64(a); }
s64 memory(u8 *p, u16 *q, u32 *r, u64 *s, s8 *t) {
    s16 *u = (s16 *)t; s32 *v = (s32 *)t;
    p[3] = 5; q[-1] = q[2]; r[1] = *r + 9; s[-7] = *s; return t[1] + u[2] + v[3] + p[9];
}
u64 control(s64 a, u64 b, s32 c, u32 d) {
    u64 sum = 0;
    for (u32 i = 0; i < d; ++i) {
        if (a > (s64)b) sum += callee(i, c);
        if (b & 0x40) sum ^= helper(sum, i);
        if (c < -9 || d == 17) a--;
        if (b <= (u64)a) b += 3;
    }
    return sum;
}
u64 atomics(u64 *p, u32 *q) {
    __sync_fetch_and_add(p, 5);
    u64 r = __sync_fetch_and_or(p, 3) + __sync_fetch_and_and(q, 9) + __sync_fetch_and_xor(p, global);
    r += __sync_lock_test_and_set(q, 4);
    return r + __sync_val_compare_and_swap(p, 1, 2) + __sync_val_compare_and_swap(q, 1, 2);
}
)";

constexpr const char* old_source = R"(
typedef unsigned int u32; typedef unsigned long long u64;
u64 f(u64 a, u32 b, u32 *p) { __sync_fetch_and_add(p, 5); return a > 9 ? a / b : (u32)(b << 3) + *p; }
)";

class LlvmObjdump : public testing::Test {
  protected:
    void SetUp() override {
#ifdef _WIN32
        GTEST_SKIP() << "the LLVM tools are not run under Windows";
#endif
        for (const char* tool : {"clang-19", "llvm-mc-19", "llvm-objdump-19", "llvm-objcopy-19"}) {
            if (std::system((std::string("command -v ") + tool + " >/dev/null 2>&1").c_str()) != 0) {
                GTEST_SKIP() << tool << " is not installed";
            }
        }
        directory_ =
            std::filesystem::temp_directory_path() / ("skep_objdump_" + std::to_string(std::random_device{}()));
        std::filesystem::create_directory(directory_);
    }
    void TearDown() override {
        if (!directory_.empty()) std::filesystem::remove_all(directory_);
    }

    std::string path(const char* name) const { return (directory_ / name).string(); }
    void write(const char* name, std::string_view text) const { std::ofstream(path(name)) << text; }
    void run(const std::string& command) const {
        ASSERT_EQ(std::system(("cd " + directory_.string() + " && " + command).c_str()), 0) << command;
    }

    /// The instruction texts of llvm-objdump, notes in angle brackets removed, tabs as blanks.
    std::vector<std::string> objdump(const std::string& arguments) const {
        run("llvm-objdump-19 -d --mcpu=v4 --no-show-raw-insn " + arguments + " > out.txt");
        std::ifstream in(path("out.txt"));
        std::vector<std::string> lines;
        for (std::string line; std::getline(in, line);) {
            const size_t colon = line.find(":\t");
            if (colon == std::string::npos || line[0] != ' ') continue;
            std::string text = without_note(line.substr(colon + 2));
            for (char& c : text) c = c == '\t' ? ' ' : c;
            lines.push_back(text);
        }
        return lines;
    }
    static std::string without_note(std::string text) {
        if (const size_t note = text.rfind(" <"); note != std::string::npos && text.back() == '>') text.resize(note);
        return text;
    }

    /// Compares the text section of a relocatable file.
    void compare(const std::string& object) const {
        run("llvm-objcopy-19 -O binary --only-section=.text " + object + " text.bin");
        std::ifstream in(path("text.bin"), std::ios::binary);
        const std::string bytes((std::istreambuf_iterator<char>(in)), {});
        ASSERT_EQ(bytes.size() % 8, 0u);
        Code code;
        for (size_t at = 0; at < bytes.size(); at += 8) {
            const Bytes b = as_bytes(std::string_view(bytes).substr(at, 8));
            code.push_back(
                {*read_le<uint8_t>(b, 0), *read_le<uint8_t>(b, 1), *read_le<int16_t>(b, 2), *read_le<int32_t>(b, 4)});
        }
        const auto insns = decode_all(code);
        ASSERT_TRUE(insns.ok()) << insns.error().to_string();
        const std::vector<std::string> theirs = objdump(object);
        ASSERT_EQ(theirs.size(), insns->size());
        for (size_t i = 0; i < theirs.size(); ++i) {
            EXPECT_EQ(without_note(disassemble((*insns)[i].insn, (*insns)[i].index)), theirs[i])
                << (*insns)[i].insn.row().name;
        }
    }

    std::filesystem::path directory_;
};

TEST_F(LlvmObjdump, PrintsEveryRowTheSame) {
    std::mt19937_64 random(19);
    std::string text = ".text\nf:\n";
    size_t count = 0;
    for (const Row& row : rows()) {
        if (row.since == Since::linux_6_15) continue;  // LLVM 20 prints these
        for (int i = 0; i < 6; ++i) {
            Insn insn{.op = row.op};
            if (row.has_dst()) insn.dst = random() % register_count;
            if (row.has_src()) insn.src = random() % register_count;
            const int shift = i < 3 ? 0 : 8;
            if (row.offset.operand) insn.offset = static_cast<int16_t>(static_cast<int16_t>(random()) >> shift);
            if (row.imm.operand) insn.imm = static_cast<int32_t>(random()) >> (3 * shift);
            if (row.has_next_imm()) insn.next_imm = static_cast<int32_t>(random());
            const Encoded encoded = encode(insn);
            for (unsigned s = 0; s < encoded.count; ++s) {
                const Slot& slot = encoded.slots[s];
                text += ".byte " + std::to_string(slot.opcode) + "," + std::to_string(slot.regs) + "\n.2byte " +
                        std::to_string(slot.offset) + "\n.4byte " + std::to_string(slot.imm) + "\n";
            }
            ++count;
        }
    }
    write("rows.s", text);
    run("llvm-mc-19 -triple bpfel -mcpu=v4 -filetype=obj rows.s -o rows.o");
    compare("rows.o");
    EXPECT_GT(count, 1000u);
}

TEST_F(LlvmObjdump, PrintsClangsCodeTheSame) {
    write("new.c", source);
    write("old.c", old_source);
    for (const std::string cpu : {"v1", "v2", "v3", "v4"}) {
        const std::string name = cpu == "v3" || cpu == "v4" ? "new" : "old";
        for (const std::string level : {"-O2", "-Os"}) {
            SCOPED_TRACE(cpu + " " + level);
            run("clang-19 -target bpf -mcpu=" + cpu + " " + level + " -c " + name + ".c -o " + name + ".o");
            compare(name + ".o");
        }
    }
}

}  // namespace
}  // namespace skep::isa
