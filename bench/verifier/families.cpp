// SPDX-License-Identifier: Apache-2.0
#include "families.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "platform/map_type.hpp"
#include "program/bind.hpp"

namespace skep::growth {

namespace {

using isa::Insn;
using isa::Op;
using platform::ProgramType;

void put(Built& b, Op op, uint8_t dst = 0, uint8_t src = 0, int offset = 0, int32_t imm = 0) {
    isa::append(b.code, Insn{.op = op, .dst = dst, .src = src, .offset = static_cast<int16_t>(offset), .imm = imm});
}
void end(Built& b, int32_t result = 0) {
    put(b, Op::Mov64K, 0, 0, 0, result);
    put(b, Op::Exit);
}
/// r6 = a word that the verifier knows nothing of: __sk_buff.len.
void unknown_word(Built& b) { put(b, Op::LdxW, 6, 1, 0); }

Built straight(uint32_t n) {
    Built b;
    unknown_word(b);
    put(b, Op::Mov64K, 0);
    put(b, Op::StxDw, 10, 6, -8);
    for (uint32_t i = 0; b.code.size() + 2 < n; ++i) {
        switch (i % 5) {
            case 0: put(b, Op::Add64K, 0, 0, 0, static_cast<int32_t>(i % 1000)); break;
            case 1: put(b, Op::LdxDw, 7, 10, -8); break;
            case 2: put(b, Op::Xor64X, 7, 0); break;
            case 3: put(b, Op::And64K, 7, 0, 0, 0xffff); break;
            case 4: put(b, Op::StxDw, 10, 7, -8); break;
        }
    }
    end(b);
    return b;
}

Built diamonds(uint32_t n) {
    Built b;
    unknown_word(b);
    put(b, Op::Mov64K, 7);
    for (uint32_t i = 0; i < n; ++i) {
        put(b, Op::Jset64K, 6, 0, 1, int32_t{1} << i % 31);
        put(b, Op::Add64K, 7, 0, 0, 1);
    }
    put(b, Op::Mov64X, 0, 7);
    put(b, Op::Exit);
    return b;
}

/// Each byte is read after a check of its own, and what is read is added up.
Built packet_checks(uint32_t n) {
    Built b;
    put(b, Op::LdxW, 2, 1, 0);  // xdp_md.data
    put(b, Op::LdxW, 3, 1, 4);  // xdp_md.data_end
    put(b, Op::Mov64K, 7);
    for (uint32_t i = 0; i < n; ++i) {
        const auto bytes = static_cast<int32_t>(1 + i % 30'000);
        put(b, Op::Mov64X, 4, 2);
        put(b, Op::Add64K, 4, 0, 0, bytes);
        put(b, Op::Jle64X, 4, 3, 2);
        end(b, 1);
        put(b, Op::LdxB, 5, 2, bytes - 1);
        put(b, Op::Add64X, 7, 5);
    }
    end(b, 2);
    return b;
}

/// n diamonds, each of which writes one of the frame's 64 cells; then a cell is read.
Built stack_slots(uint32_t n) {
    Built b;
    unknown_word(b);
    for (int cell = 1; cell <= 64; ++cell) put(b, Op::StDw, 10, 0, -8 * cell);
    for (uint32_t i = 0; i < n; ++i) {
        put(b, Op::Jset64K, 6, 0, 1, int32_t{1} << i % 31);
        put(b, Op::StDw, 10, 0, -8 * static_cast<int>(1 + i % 64), static_cast<int32_t>(i % 1000));
    }
    for (int cell = 1; cell <= 64; ++cell) {
        put(b, Op::LdxDw, 7, 10, -8 * cell);
        put(b, Op::Add64X, 6, 7);
    }
    put(b, Op::Mov64X, 0, 6);
    put(b, Op::Exit);
    return b;
}

/// A search tree over n values, as compilers make of a switch.
Built compare_tree(uint32_t n) {
    Built b;
    unknown_word(b);
    struct Part {
        uint32_t from, to;
        size_t jump;  ///< slot of the jump that leads here; none: SIZE_MAX
    };
    std::vector<Part> open{{0, n, SIZE_MAX}};
    while (!open.empty()) {
        const Part part = open.back();
        open.pop_back();
        if (part.jump != SIZE_MAX) {
            b.code[part.jump].offset = static_cast<int16_t>(b.code.size() - part.jump - 1);
        }
        if (part.to - part.from == 1) {
            end(b, static_cast<int32_t>(part.from % 1000));
            continue;
        }
        const uint32_t middle = (part.from + part.to) / 2;
        open.push_back({middle, part.to, b.code.size()});
        open.push_back({part.from, middle, SIZE_MAX});
        put(b, Op::Jge64K, 6, 0, 0, static_cast<int32_t>(middle));
    }
    return b;
}

/// n comparisons one after the other, each with a block of its own and one way on.
Built compare_chain(uint32_t n) {
    Built b;
    unknown_word(b);
    put(b, Op::Mov64K, 7);
    for (uint32_t i = 0; i < n; ++i) {
        put(b, Op::Jne64K, 6, 0, 1, static_cast<int32_t>(i));
        put(b, Op::Mov64K, 7, 0, 0, static_cast<int32_t>(i % 1000));
    }
    put(b, Op::Mov64X, 0, 7);
    put(b, Op::Exit);
    return b;
}

void call(Built& b, size_t function) {
    put(b, Op::CallLocal, 0, 0, 0, static_cast<int32_t>(static_cast<int64_t>(function) - int64_t(b.code.size()) - 1));
}

/// n calls of one function with a diamond in it.
Built calls(uint32_t n) {
    Built b;
    unknown_word(b);
    put(b, Op::Mov64K, 7);
    const size_t function = b.code.size() + 3 * size_t{n} + 2;
    for (uint32_t i = 0; i < n; ++i) {
        put(b, Op::Mov64X, 1, 6);
        call(b, function);
        put(b, Op::Add64X, 7, 0);
    }
    put(b, Op::Mov64X, 0, 7);
    put(b, Op::Exit);
    b.functions.push_back(static_cast<isa::InsnIndex>(b.code.size()));
    put(b, Op::Mov64K, 0);
    put(b, Op::Jset64K, 1, 0, 1, 1);
    put(b, Op::Mov64K, 0, 0, 0, 5);
    put(b, Op::Exit);
    return b;
}

/// n functions, each called once.
Built functions(uint32_t n) {
    Built b;
    unknown_word(b);
    put(b, Op::Mov64K, 7);
    const size_t first = b.code.size() + 3 * size_t{n} + 2;
    for (uint32_t i = 0; i < n; ++i) {
        put(b, Op::Mov64X, 1, 6);
        call(b, first + 4 * size_t{i});
        put(b, Op::Add64X, 7, 0);
    }
    put(b, Op::Mov64X, 0, 7);
    put(b, Op::Exit);
    for (uint32_t i = 0; i < n; ++i) {
        b.functions.push_back(static_cast<isa::InsnIndex>(b.code.size()));
        put(b, Op::Mov64K, 0);
        put(b, Op::Jset64K, 1, 0, 1, 1);
        put(b, Op::Mov64K, 0, 0, 0, static_cast<int32_t>(i % 1000));
        put(b, Op::Exit);
    }
    return b;
}

/// One loop of n rounds, whose counter, masked, is a place in the frame.
Built counted_loop(uint32_t n) {
    Built b;
    for (int cell = 1; cell <= 8; ++cell) put(b, Op::StDw, 10, 0, -8 * cell);
    put(b, Op::Mov64K, 6);
    put(b, Op::Mov64X, 7, 6);  // slot 9: the head
    put(b, Op::And64K, 7, 0, 0, 63);
    put(b, Op::Mov64X, 8, 10);
    put(b, Op::Add64X, 8, 7);
    put(b, Op::StxB, 8, 6, -64);
    put(b, Op::Add64K, 6, 0, 0, 1);
    put(b, Op::Jlt64K, 6, 0, -7, static_cast<int32_t>(n));
    end(b);
    return b;
}

/// Two loops, one in the other: n rounds of the inner one in all.
Built nested_loops(uint32_t n) {
    const auto side = static_cast<int32_t>(std::max(2.0, std::round(std::sqrt(n))));
    Built b;
    put(b, Op::Mov64K, 0);
    put(b, Op::Mov64K, 6);
    put(b, Op::Mov64K, 7);  // slot 2: the outer head
    put(b, Op::Add64K, 0, 0, 0, 3);
    put(b, Op::Add64K, 7, 0, 0, 1);
    put(b, Op::Jlt64K, 7, 0, -3, side);
    put(b, Op::Add64K, 6, 0, 0, 1);
    put(b, Op::Jlt64K, 6, 0, -6, side);
    put(b, Op::Exit);
    return b;
}

/// n loops one after the other.
Built loops(uint32_t n) {
    Built b;
    put(b, Op::Mov64K, 0);
    for (uint32_t i = 0; i < n; ++i) {
        put(b, Op::Mov64K, 6);
        put(b, Op::Add64K, 0, 0, 0, 1);
        put(b, Op::Add64K, 6, 0, 0, 1);
        put(b, Op::Jlt64K, 6, 0, -3, static_cast<int32_t>(5 + i % 100));
    }
    put(b, Op::Exit);
    return b;
}

/// A function calls one that calls one ... n times each, `deepest` deep: n^(deepest - 1) ways to the last, whose
/// arguments all differ.
Built call_tree(uint32_t n) {
    constexpr uint32_t deepest = 7;
    Built b;
    unknown_word(b);
    put(b, Op::Mov64X, 1, 6);
    const uint32_t size = 3 * n + 3;
    for (uint32_t level = 0; level < deepest; ++level) {
        const size_t next = 2 + size_t{level + 1} * size;
        if (level > 0) b.functions.push_back(static_cast<isa::InsnIndex>(b.code.size()));
        put(b, Op::Mov64X, 6, 1);
        for (uint32_t i = 0; i < n; ++i) {
            put(b, Op::Mov64X, 1, 6);
            put(b, Op::Add64K, 1, 0, 0, static_cast<int32_t>(i + 1));
            if (level + 1 < deepest) {
                call(b, next);
            } else {
                put(b, Op::Xor64X, 6, 1);
            }
        }
        put(b, Op::Mov64X, 0, 6);
        put(b, Op::Exit);
    }
    return b;
}

/// n independent diamonds, each adding another power of two to an index, which is then bounded and used: all 2^n
/// indices are different, and none of the ways may be told apart.
Built precise(uint32_t n) {
    Built b;
    unknown_word(b);
    put(b, Op::LdxW, 8, 1, 8);  // __sk_buff.mark
    put(b, Op::Mov64K, 7);
    for (uint32_t i = 0; i < n; ++i) {
        put(b, Op::Jset64K, i < 31 ? 6 : 8, 0, i < 31 ? 1 : 3, int32_t{1} << i % 31);
        if (i < 31) {
            put(b, Op::Add64K, 7, 0, 0, int32_t{1} << i % 31);
        } else {
            put(b, Op::Mov64K, 5, 0, 0, 1);
            put(b, Op::Lsh64K, 5, 0, 0, static_cast<int32_t>(i));
            put(b, Op::Add64X, 7, 5);
        }
    }
    const size_t bound = b.code.size();
    put(b, Op::Jge64K, 7, 0, 0, static_cast<int32_t>(value_bytes));
    isa::append(b.code, Insn{.op = Op::LdMapFd, .dst = 1, .imm = 0});
    put(b, Op::StW, 10, 0, -4, 0);
    put(b, Op::Mov64X, 2, 10);
    put(b, Op::Add64K, 2, 0, 0, -4);
    put(b, Op::Call, 0, 0, 0, 1);  // bpf_map_lookup_elem
    put(b, Op::Jeq64K, 0, 0, 2, 0);
    put(b, Op::Add64X, 0, 7);
    put(b, Op::LdxB, 0, 0, 0);
    b.code[bound].offset = static_cast<int16_t>(b.code.size() - bound - 1);
    end(b);
    return b;
}

}  // namespace

std::span<const Family> families() {
    static const std::vector<Family> all{
        {"straight", "instructions", ProgramType::SocketFilter, straight, {1000, 10'000, 100'000, 900'000}, 2000},
        {"diamonds", "diamonds", ProgramType::SocketFilter, diamonds, {1000, 10'000, 100'000}, 200},
        {"packet_checks", "checks", ProgramType::Xdp, packet_checks, {1000, 10'000, 100'000}, 200},
        {"stack_slots", "diamonds", ProgramType::SocketFilter, stack_slots, {500, 1000, 2500}, 200},
        {"compare_tree", "leaves", ProgramType::SocketFilter, compare_tree, {200, 2000, 20'000}, 100},
        {"compare_chain", "comparisons", ProgramType::SocketFilter, compare_chain, {1000, 10'000, 100'000}, 200},
        {"calls", "calls", ProgramType::SocketFilter, calls, {500, 4000, 20'000}, 100},
        {"functions", "functions", ProgramType::SocketFilter, functions, {500, 4000, 20'000}, 100},
        {"loops", "loops", ProgramType::SocketFilter, loops, {100, 1000, 10'000}, 100},
        {"counted_loop",
         "rounds",
         ProgramType::SocketFilter,
         counted_loop,
         {1000, 10'000, 100'000, 1'000'000},
         500,
         true},
        {"nested_loops", "rounds", ProgramType::SocketFilter, nested_loops, {10'000, 100'000, 1'000'000}, 400, true},
        {"precise", "diamonds", ProgramType::SocketFilter, precise, {10, 20, 30, 40}, 24},
    };
    return all;
}

std::span<const Family> exhausting() {
    static const std::vector<Family> all{
        {"call_tree", "calls", ProgramType::SocketFilter, call_tree, {10, 100, 1000}, 10},
        {"stack_slots", "diamonds", ProgramType::SocketFilter, stack_slots, {20'000, 400'000}, 0},
        {"diamonds", "diamonds", ProgramType::SocketFilter, diamonds, {440'000}, 0},
        {"calls", "calls", ProgramType::SocketFilter, calls, {290'000}, 0},
    };
    return all;
}

Result<verifier::Subject> subject_of(const Family& family, uint32_t n) {
    Built built = family.make(n);
    object::ObjectSpec spec;
    spec.file = family.name;
    spec.license = "GPL";
    object::MapSpec map;
    map.name = "values";
    map.type = platform::map_type_linux_id(platform::MapType::Array);
    map.key_size = 4;
    map.value_size = value_bytes;
    map.max_entries = 1;
    spec.maps.push_back(std::move(map));
    object::LinkedProgram program;
    program.name = family.name;
    const auto size = static_cast<isa::InsnIndex>(built.code.size());
    program.code = std::move(built.code);
    program.maps.push_back(0);
    for (size_t i = 0; i < built.functions.size(); ++i) {
        program.subprograms.push_back({.name = i == 0 ? family.name : "f" + std::to_string(i),
                                       .start = built.functions[i],
                                       .end = i + 1 < built.functions.size() ? built.functions[i + 1] : size});
    }
    BindOptions options;
    options.type = family.type;
    options.keep_problems = true;
    SKEP_ASSIGN(BoundProgram bound, bind(spec, program, options));
    return verifier::make_subject(spec, std::make_shared<const BoundProgram>(std::move(bound)));
}

double fitted_exponent(std::span<const double> x, std::span<const double> y) {
    double sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (size_t i = 0; i < x.size(); ++i) {
        const double lx = std::log(x[i]), ly = std::log(y[i]);
        sx += lx, sy += ly, sxx += lx * lx, sxy += lx * ly;
    }
    const auto n = static_cast<double>(x.size());
    return (n * sxy - sx * sy) / (n * sxx - sx * sx);
}

}  // namespace skep::growth
