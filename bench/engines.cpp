// SPDX-License-Identifier: Apache-2.0
// The engines beside each other: every program of bench/programs on the interpreter, the JIT, as native modules (aot:
// built by clang for the baseline processor; aot-host: for this one; aot-gcc: by gcc), the running kernel (where the
// process may load programs) and as native code, one source text for all; then the example tools (examples.cpp).
// Ratios are those of the rounds, times their medians (measure.hpp): to native code of clang -O2, but for aot-gcc,
// whose ratio is to native code of gcc -O2 (native-gcc).
// Built for Windows it has the programs alone: native code and modules (aot-mingw) are both mingw-w64 gcc's at -O2, for
// the baseline processor.
// Every program is verified; the engines get the facts that the certificate's checker wrote.
//   skep_bench [--json] [--rounds N] [--only NAME] [--facts] [--dump FOLDER] [--compile N] [--write-modules FOLDER]
//   skep_bench.exe --modules FOLDER [--json] [--rounds N] [--only NAME]
// --write-modules builds the modules of the Windows table, which has no compiler where it runs.
// --facts measures the JIT with all facts beside the JIT without one kind of them at a time, and without any.
// --compile compiles N times and nothing else, and tells the best time as well, which a busy machine hardly changes.
// --dump writes the JIT's code of each program (objdump -D -b binary -m i386:x86-64 -M intel FILE).
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/lane.hpp"
#include "engine/interp/interp.hpp"
#include "engine/jit/jit.hpp"
#include "examples.hpp"
#include "fact_kinds.hpp"
#include "isa/insn.hpp"
#include "kernel_runner.hpp"
#include "measure.hpp"
#include "module/native_code.hpp"
#include "must.hpp"
#include "object/link.hpp"
#include "object/object_spec.hpp"
#include "platform/host_context.hpp"
#include "program/bind.hpp"
#include "program/unverified.hpp"
#include "runtime/load/verify_program.hpp"

#define PROGRAMS(X) \
    X(hash) X(muldiv) X(sort) X(search) X(parse) X(checksum) X(bits) X(calls) X(dispatch) X(matrix) X(crc) X(memory)

extern "C" {
#define X(name) uint32_t native_##name(uint8_t* p, const uint8_t* end);
PROGRAMS(X)
#undef X
#ifdef SKEP_BENCH_GCC
#define X(name) uint32_t native_gcc_##name(uint8_t* p, const uint8_t* end);
PROGRAMS(X)
#undef X
#define GCC(name) native_gcc_##name
#else
#define GCC(name) nullptr
#endif
}

namespace skep::bench {
namespace {

using Native = uint32_t (*)(uint8_t*, const uint8_t*);

constexpr size_t packet_bytes = 2048 + 128;

struct Source {
    const char* name;
    Native native, native_gcc;
};
constexpr Source sources[] = {
#define X(name) {#name, native_##name, GCC(name)},
    PROGRAMS(X)
#undef X
};

std::vector<uint8_t> make_packet() {
    std::vector<uint8_t> packet(packet_bytes);
    uint64_t state = 0x9e3779b97f4a7c15;
    const auto next = [&] {
        state ^= state << 13;
        state ^= state >> 7;
        return state ^= state << 17;
    };
    static constexpr char letters[] = "get Get\nGET gexyz";
    for (uint8_t& byte : packet)
        byte = next() % 2 ? static_cast<uint8_t>(letters[next() % 17]) : static_cast<uint8_t>(next());
    // Frames for the parser: IPv4 and IPv6, some tagged, TCP with options and UDP.
    for (size_t i = 0; i + 128 <= packet.size(); i += 128) {
        uint8_t* at = packet.data() + i + 12;
        const uint64_t kind = next();
        if (kind % 4 == 0) {
            at[0] = 0x81, at[1] = 0;
            at += 4;
        }
        uint8_t* ip = at + 2;
        uint8_t* segment;
        if (kind / 4 % 3 == 0) {
            at[0] = 0x86, at[1] = 0xdd;
            ip[0] = 0x60;
            ip[6] = kind / 16 % 2 ? 6 : 17;
            segment = ip + 40;
        } else {
            at[0] = 0x08, at[1] = 0;
            ip[0] = kind / 32 % 4 ? 0x45 : 0x46;
            ip[6] = ip[7] = 0;
            ip[9] = kind / 16 % 2 ? 6 : 17;
            segment = ip + (ip[0] & 15) * 4;
        }
        segment[12] = 0x80;
        static constexpr uint8_t options[] = {2, 4, 5, 0xb4, 1, 3, 3, 7, 1, 1, 4, 2};
        std::memcpy(segment + 20, options, sizeof options);
    }
    return packet;
}

struct Loaded {
    std::string name;
    std::string path;
    BoundProgram bound;
    std::shared_ptr<const ExecutableProgram> executable;
    std::unique_ptr<engine::CompiledCode> interp, jit;
    std::map<std::string, std::unique_ptr<engine::CompiledCode>> modules;
};

Loaded load(const Source& source, const std::string& modules) {
    Loaded out;
    out.name = source.name;
    out.path = std::string(SKEP_BENCH_OBJECTS) + "/" + source.name + ".o";
    const auto file = read_file(out.path);
    const auto spec = must(object::read_object(file, out.path));
    const auto linked = must(object::link(spec, 0));
    out.bound = must(bind(spec, linked));
    out.executable = std::make_shared<const ExecutableProgram>(must(runtime::verify_program(spec, out.bound)));
    const ExecutableProgram& executable = *out.executable;
    out.interp = must(engine::interp::compile(executable, {}));
    out.jit = must(engine::jit::compile(executable, {}));
    const engine::LinkTable table;
    const module::DirectProgram one{&executable, &table};
    if (!modules.empty()) {
        const auto image = read_file(modules + "/" + out.name);
        out.modules["aot-mingw"] = std::move(must(module::load_direct(image, std::span(&one, 1))).front());
        return out;
    }
    for (const ModuleColumn& column : module_columns()) {
        auto built = module::compile_direct(std::span(&one, 1), column.options());
        if (built) out.modules[column.name] = std::move(built->front());
    }
    return out;
}

/// For who measures on Windows: each program's module by mingw-w64 gcc, one file each.
int write_windows_modules(const std::string& folder) {
    for (const Source& source : sources) {
        const std::string path = std::string(SKEP_BENCH_OBJECTS) + "/" + source.name + ".o";
        const auto file = read_file(path);
        const auto spec = must(object::read_object(file, path));
        const ExecutableProgram executable =
            must(runtime::verify_program(spec, must(bind(spec, must(object::link(spec, 0))))));
        const engine::LinkTable table;
        const module::DirectProgram one{&executable, &table};
        module::DirectOptions options;
        options.target = module::Target::WindowsX86_64;
        const auto image = must(module::build_direct(std::span(&one, 1), options));
        std::ofstream out(folder + "/" + source.name, std::ios::binary);
        out.write(reinterpret_cast<const char*>(image.data()), static_cast<std::streamsize>(image.size()));
        if (!out.good()) fail("cannot write " + folder + "/" + source.name);
    }
    return 0;
}

class Host {
  public:
    explicit Host(const std::vector<uint8_t>& packet) : packet_(packet), copy_(packet.size() + 64) {
        reset();
        run_.size = sizeof run_;
        run_.abi = SKEP_RUNTIME_CONTEXT_ABI;
    }
    void reset() {
        data_ = reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(copy_.data()) + 63) & ~uintptr_t{63});
        std::memcpy(data_, packet_.data(), packet_.size());
        context_.packet = {data_, data_ + packet_.size(), data_, data_, data_ + packet_.size()};
    }
    uint64_t enter(const skep_entry& entry) { return entry.function(&context_, &run_, entry.self); }
    uint8_t* data() { return data_; }
    const uint8_t* end() const { return data_ + packet_.size(); }

  private:
    const std::vector<uint8_t>& packet_;
    std::vector<uint8_t> copy_;
    uint8_t* data_ = nullptr;
    platform::HostXdp context_{};
    skep_runtime_context run_{};
};

Column engine_column(const char* name, const engine::CompiledCode& code, std::shared_ptr<Host> host) {
    Column column;
    column.name = name;
    const skep_entry entry = code.entry();
    column.result = [host, entry] {
        host->reset();
        return static_cast<uint32_t>(host->enter(entry));
    };
    column.run = [host, entry](uint64_t times) {
        host->reset();
        for (uint64_t i = 0; i <= times / 8; ++i) host->enter(entry);
        const double start = processor_time();
        for (uint64_t i = 0; i < times; ++i) host->enter(entry);
        return (processor_time() - start) / static_cast<double>(times);
    };
    return column;
}

Column native_column(const char* name, Native function, std::shared_ptr<Host> host) {
    Column column;
    column.name = name;
    column.result = [host, function] {
        host->reset();
        return function(host->data(), host->end());
    };
    column.run = [host, function](uint64_t times) {
        host->reset();
        const auto some = [&](uint64_t count) {
            for (uint64_t i = 0; i < count; ++i) {
                uint32_t result = function(host->data(), host->end());
                __asm__ volatile("" : : "r"(result) : "memory");
            }
        };
        some(times / 8 + 1);
        const double start = processor_time();
        some(times);
        return (processor_time() - start) / static_cast<double>(times);
    };
    return column;
}

/// All programs as functions of one, so that the cost per instruction is not that of getting pages.
BoundProgram joined(const std::vector<Loaded>& programs, unsigned copies) {
    BoundProgram out;
    out.linked.name = "joined";
    for (unsigned copy = 0; copy < copies; ++copy) {
        for (const Loaded& program : programs) {
            const auto base = static_cast<isa::InsnIndex>(out.linked.code.size());
            for (auto sub : program.bound.linked.subprograms) {
                sub.start += base;
                sub.end += base;
                out.linked.subprograms.push_back(sub);
            }
            out.linked.code.insert(out.linked.code.end(), program.bound.linked.code.begin(),
                                   program.bound.linked.code.end());
            out.bindings.insert(out.bindings.end(), program.bound.bindings.begin(), program.bound.bindings.end());
        }
    }
    return out;
}

struct Compiling {
    double median = 0, best = 0;
};

Compiling measure_compiling(const BoundProgram& bound, int samples, const Facts& facts = {}) {
    const auto executable = must(UnverifiedProgram::make(bound, facts));
    std::vector<double> times;
    for (int i = 0; i < samples; ++i) {
        const auto start = processor_time();
        auto code = must(engine::jit::compile(executable, {}));
        times.push_back((processor_time() - start));
    }
    return {median_of(times), *std::min_element(times.begin(), times.end())};
}
double compile_ns(const BoundProgram& bound, int samples) { return measure_compiling(bound, samples).median; }

struct Entering {
    double bare = 0;       ///< the call alone
    double in_batch = 0;   ///< as a hook runs packets: one lane for all, out of the epoch and into it after each
    double with_lane = 0;  ///< a lane taken and given back around each
};

Entering measure_entering(int rounds) {
    BoundProgram empty;
    empty.linked.name = "empty";
    isa::append(empty.linked.code, {.op = isa::Op::Mov64K});
    isa::append(empty.linked.code, {.op = isa::Op::Exit});
    const auto code = must(engine::jit::compile(must(UnverifiedProgram::make(empty)), {}));
    const skep_entry entry = code->entry();
    skep_runtime_context run{};
    Lanes* lanes = Lanes::create(0);
    constexpr int times = 1'000'000;
    std::vector<double> bare, in_batch, with_lane;
    uint64_t sum = 0;
    for (int round = 0; round < rounds; ++round) {
        auto start = processor_time();
        for (int i = 0; i < times; ++i) sum += entry.function(&run, &run, entry.self);
        bare.push_back((processor_time() - start) / times);
        start = processor_time();
        {
            const LaneGuard guard(*lanes);
            run.lane = guard.lane();
            for (int i = 0; i < times; ++i) {
                sum += entry.function(&run, &run, entry.self);
                lanes->quiesce(run.lane);
            }
        }
        in_batch.push_back((processor_time() - start) / times);
        start = processor_time();
        for (int i = 0; i < times; ++i) {
            const LaneGuard guard(*lanes);
            run.lane = guard.lane();
            sum += entry.function(&run, &run, entry.self);
        }
        with_lane.push_back((processor_time() - start) / times);
    }
    __asm__ volatile("" : : "r"(sum));
    lanes->destroy();
    return {median_of(bare), median_of(in_batch), median_of(with_lane)};
}

/// A module of gcc's is held against native code of gcc's.
void settle_bases(std::vector<Column>& columns) {
    for (size_t i = 0; i < columns.size(); ++i) {
        if (columns[i].name != "aot-gcc") continue;
        for (size_t base = 0; base < i; ++base)
            if (columns[base].name == "native-gcc") columns[i].base = base;
    }
}

/// Rows as they are measured, and the report of all.
struct Table {
    int rounds = 0;
    bool json = false;
    nlohmann::json report = {};
    std::map<std::string, std::map<std::string, std::vector<double>>> ratios = {};  ///< by kind of row, then column

#if defined(_WIN32)
    // The preset of the tests builds the interpreter for soon being built, not for speed.
    static constexpr const char* column_names[] = {"jit", "aot-mingw"};
#else
    static constexpr const char* column_names[] = {"jit",        "interp",  "aot",   "aot-host",
                                                   "native-gcc", "aot-gcc", "kernel"};
#endif

    static bool has_column(std::string_view name) {
        return std::ranges::find(column_names, name) != std::end(column_names);
    }

    void head() const {
        if (json) return;
        std::string line = fmt::format("{:<10} {:>6} {:>11}", "program", "insns", "native ns");
        for (const char* name : column_names) line += fmt::format(" {:>18}", std::string(name) + " ns");
        fmt::print("{}  spread\n", line);
    }

    /// Measures the columns, the first of which is native code.
    void row(const std::string& name, size_t instructions, std::vector<Column>& columns, const std::string& kind) {
        settle_bases(columns);
        const uint32_t want = columns[0].result();
        for (const Column& column : columns)
            if (const uint32_t got = column.result(); got != want)
                fail(fmt::format("{}: {} gives {:#x}, native {:#x}", name, column.name, got, want));
        const double spread = measure(columns, rounds);
        nlohmann::json out{{"program", name}, {"instructions", instructions}, {"settled", spread <= accepted_spread}};
        std::string line = fmt::format("{:<10} {:>6} {:>11.1f}", name, instructions, columns[0].median);
        out["native"] = {{"ns", columns[0].median}, {"spread", columns[0].spread}};
        for (const char* wanted : column_names) {
            const auto found =
                std::find_if(columns.begin(), columns.end(), [&](const Column& c) { return c.name == wanted; });
            if (found == columns.end() || !found->run) {
                line += fmt::format(" {:>18}", "-");
                continue;
            }
            out[wanted] = {{"ns", found->median}, {"spread", found->spread}, {"ratio", found->ratio}};
            ratios[kind][wanted].push_back(found->ratio);
            line += fmt::format(" {:>10.1f} {:>6.2f}x", found->median, found->ratio);
        }
        report[kind].push_back(out);
        if (json) return;
        fmt::print("{}  {:.1f} %{}\n", line, spread * 100, spread > accepted_spread ? " (did not settle)" : "");
        std::fflush(stdout);
    }

    void means(const std::string& kind, const char* title) {
        std::string line = fmt::format("{:<10} {:>6} {:>11}", title, "", "");
        for (const char* name : column_names) {
            const auto& list = ratios[kind][name];
            if (list.empty()) {
                line += fmt::format(" {:>18}", "-");
                continue;
            }
            double sum = 0;
            for (const double ratio : list) sum += std::log(ratio);
            const double mean = std::exp(sum / static_cast<double>(list.size()));
            report["geometric_mean"][kind][name] = mean;
            line += fmt::format(" {:>10} {:>6.2f}x", "", mean);
        }
        if (!json) fmt::print("{}\n", line);
    }
};

/// What each kind of facts is worth to the JIT: the ratio to the JIT with all of them, program by program.
void measure_facts(const std::vector<Loaded>& programs, const std::vector<uint8_t>& packet, const std::string& only,
                   int rounds, bool json) {
    FactTable table(json);
    for (const Loaded& program : programs) {
        if (!only.empty() && only != program.name) continue;
        std::vector<Column> columns;
        std::vector<size_t> bytes;
        for (const FactKind& kind : fact_kinds()) {
            const std::shared_ptr<engine::CompiledCode> code =
                must(engine::jit::compile(without(*program.executable, kind), {}));
            bytes.push_back(code->code_bytes());
            Column column = engine_column(kind.name, *code, std::make_shared<Host>(packet));
            column.run = [code, run = column.run](uint64_t times) { return run(times); };
            columns.push_back(std::move(column));
        }
        table.row(program.name, columns, bytes, rounds);
    }
    for (const std::string& name : example_names())
        if (only.empty() || only == name) example_facts(name, table, rounds);
    table.end();
}

int main(int argc, char** argv) {
    bool json = false, facts = false;
    int rounds = 31, compilations = 0;
    std::string only, dump, modules, write_modules;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (word == "--json") {
            json = true;
        } else if (word == "--rounds" && i + 1 < argc) {
            rounds = std::max(1, std::atoi(argv[++i]));
        } else if (word == "--only" && i + 1 < argc) {
            only = argv[++i];
        } else if (word == "--facts") {
            facts = true;
        } else if (word == "--compile" && i + 1 < argc) {
            compilations = std::max(1, std::atoi(argv[++i]));
        } else if (word == "--dump" && i + 1 < argc) {
            dump = argv[++i];
        } else if (word == "--modules" && i + 1 < argc) {
            modules = argv[++i];
        } else if (word == "--write-modules" && i + 1 < argc) {
            write_modules = argv[++i];
        } else {
            std::fputs(
                "usage: skep_bench [--json] [--rounds N] [--only NAME] [--facts] [--dump FOLDER] [--compile N] "
                "[--modules FOLDER] [--write-modules FOLDER]\n",
                stderr);
            return 2;
        }
    }
    if (!write_modules.empty()) return write_windows_modules(write_modules);
    const auto packet = make_packet();
    std::vector<Loaded> programs;
    for (const Source& source : sources) programs.push_back(load(source, modules));

    if (compilations != 0) {
        const BoundProgram all = joined(programs, 4);
        const Compiling whole = measure_compiling(all, compilations);
        const auto count = static_cast<double>(all.linked.code.size());
        fmt::print("compiling (jit): {:.4f} us per instruction in a program of {}, at best {:.4f}\n",
                   whole.median / 1000 / count, all.linked.code.size(), whole.best / 1000 / count);
        return 0;
    }
    if (!dump.empty()) {
        for (const Loaded& program : programs) {
            std::ofstream out(dump + "/" + program.name + ".bin", std::ios::binary);
            const auto code = program.jit->native_code();
            out.write(reinterpret_cast<const char*>(code.data()), static_cast<std::streamsize>(code.size()));
        }
        return 0;
    }
    if (facts) {
        measure_facts(programs, packet, only, rounds, json);
        return 0;
    }
    Table table{rounds, json};
    nlohmann::json& report = table.report;
    std::string kernel_reason;
    table.head();
    for (size_t i = 0; i < std::size(sources); ++i) {
        const Loaded& program = programs[i];
        if (!only.empty() && only != program.name) continue;
        std::vector<Column> columns;
        columns.push_back(native_column("native", sources[i].native, std::make_shared<Host>(packet)));
        columns.push_back(engine_column("jit", *program.jit, std::make_shared<Host>(packet)));
        if (table.has_column("interp"))
            columns.push_back(engine_column("interp", *program.interp, std::make_shared<Host>(packet)));
        if (sources[i].native_gcc != nullptr)
            columns.push_back(native_column("native-gcc", sources[i].native_gcc, std::make_shared<Host>(packet)));
        for (const auto& [name, code] : program.modules)
            columns.push_back(engine_column(name.c_str(), *code, std::make_shared<Host>(packet)));
        auto kernel = std::make_shared<KernelRunner>(program.path);
        if (kernel->ready() && table.has_column("kernel")) {
            Column column;
            column.name = "kernel";
            column.result = [kernel, &packet] { return kernel->run(packet, 1).r0; };
            column.run = [kernel, &packet](uint64_t times) { return kernel->run(packet, times).ns; };
            columns.push_back(std::move(column));
        } else {
            kernel_reason = kernel->reason();
        }
        table.row(program.name, program.bound.linked.code.size(), columns, "programs");
    }
    for (const std::string& name : example_names()) {
        if (!only.empty() && only != name) continue;
        ExampleRow row = example_row(name);
        if (!row.kernel_reason.empty()) kernel_reason = row.kernel_reason;
        table.row(row.name, row.instructions, row.columns, "examples");
    }
    if (only.empty()) {
        table.means("programs", "geo. mean");
        if (!table.ratios["examples"].empty()) table.means("examples", "examples");
        const Entering entering = measure_entering(rounds);
        const BoundProgram all = joined(programs, 4);
        const double whole = compile_ns(all, 51);
        double parts = 0;
        size_t instructions = 0;
        for (const Loaded& program : programs) {
            parts += compile_ns(program.bound, 51);
            instructions += program.bound.linked.code.size();
        }
        const double small = compile_ns(programs[5].bound, 51);
        report["entering_ns"] = {
            {"bare", entering.bare}, {"in_batch", entering.in_batch}, {"with_lane", entering.with_lane}};
        report["compile"] = {
            {"us_per_instruction", whole / 1000 / static_cast<double>(all.linked.code.size())},
            {"us_per_instruction_one_by_one", parts / 1000 / static_cast<double>(instructions)},
            {"small_program_us", small / 1000},
        };
        if (!json) {
            fmt::print("\n");
            if (!kernel_reason.empty() && table.has_column("kernel")) fmt::print("kernel: {}\n", kernel_reason);
            fmt::print(
                "entering an empty program: {:.2f} ns; in a batch, the epoch left and entered after each, {:.2f} ns; "
                "a lane for each {:.2f} ns\n",
                entering.bare, entering.in_batch, entering.with_lane);
            fmt::print(
                "compiling (jit): {:.4f} us per instruction in a program of {}; {:.4f} one by one; {:.1f} us for {} of "
                "{}\n",
                whole / 1000 / static_cast<double>(all.linked.code.size()), all.linked.code.size(),
                parts / 1000 / static_cast<double>(instructions), small / 1000, programs[5].name,
                programs[5].bound.linked.code.size());
        }
    }
    if (json) fmt::print("{}\n", report.dump(2));
    return 0;
}

}  // namespace
}  // namespace skep::bench

int main(int argc, char** argv) { return skep::bench::main(argc, argv); }
