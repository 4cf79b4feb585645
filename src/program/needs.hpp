// SPDX-License-Identifier: Apache-2.0
// What a program needs of whoever runs it, in canonical words, and whether a platform has it (`skep check`). Reads the
// program only: no verifier's verdict is predicted.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "object/linked_program.hpp"
#include "object/object_spec.hpp"
#include "platform/platforms/platform.hpp"
#include "platform/verdict.hpp"
#include "program/adapt.hpp"

namespace skep {

/// A place in the program where something is needed.
struct NeedSite {
    isa::InsnIndex insn = 0;
    std::string insn_text;
    std::string function;
    std::string source_file;  ///< empty without line info
    uint32_t source_line = 0;
    std::string source_text;

    bool operator==(const NeedSite&) const = default;
};

/// A helper number, map type number or context offset that the program's own system does not define.
struct UnknownNumber {
    uint32_t number = 0;
    bool operator==(const UnknownNumber&) const = default;
};
struct Kfunc {
    bool operator==(const Kfunc&) const = default;
};
/// A type or a part of one that CO-RE asks for and no table has.
struct TypePart {
    bool operator==(const TypePart&) const = default;
};

struct Need {
    enum class Kind : uint8_t { Type, Helper, Map, Field, Kfunc, Feature, Verdict };
    Kind kind = Kind::Type;
    /// What exactly; UnknownNumber where the number means nothing in its own personality.
    std::variant<platform::ProgramType, platform::HelperId, platform::MapType, platform::FieldId, platform::FeatureId,
                 Kfunc, UnknownNumber, platform::Verdict, TypePart>
        what;
    std::string name;             ///< "helper xdp_load_bytes", "map type ringbuf (map \"events\")"
    std::vector<NeedSite> sites;  ///< the first ones; empty where no instruction is concerned
    uint32_t count = 0;           ///< sites in all
    /// The types of the platform that the program was adapted to have it not, whatever the tables say.
    bool absent = false;
};

struct ProgramNeeds {
    std::string program;
    std::string section;
    platform::Personality personality = platform::Personality::Linux;
    platform::ProgramType type = platform::ProgramType::SocketFilter;
    platform::AttachType attach = platform::AttachType::None;  ///< None: not told, or it makes no difference
    std::vector<Need> needs;                                   ///< the program type first, then in order of the program
    /// What could not be looked at, as sentences: "the context of kprobe programs is in no table yet".
    std::vector<std::string> unread;
};

inline constexpr size_t kept_sites = 3;

/// What the code that can be reached needs. `adapted`: `program` as one platform sees it; the needs are those there.
/// Errors: Unresolved (no program type can be told), as isa::decode.
Result<ProgramNeeds> needs_of(const object::ObjectSpec& spec, const object::LinkedProgram& program,
                              platform::Personality personality,
                              std::optional<platform::ProgramType> type = std::nullopt,
                              const AdaptedProgram* adapted = nullptr);

enum class Fit : uint8_t {
    Runs,          ///< as it is
    AfterBinding,  ///< everything exists there under other numbers: skep binds them, `skep translate` rewrites them
    Cannot,
};

/// Something the platform lacks.
struct Missing {
    const Need* need;     ///< of the ProgramNeeds judged
    std::string since;    ///< "Linux 5.18", "eBPF for Windows"; empty: no platform's tables have it
    std::string nearest;  ///< what stands nearest there; empty: nothing known
};

struct Judgement {
    Fit fit = Fit::Runs;
    std::vector<Missing> missing;
    /// Verdicts that the platform cannot say but for which it has one with the same effect, `nearest`: no reason not to
    /// run.
    std::vector<Missing> replaced;
};

Judgement judge(const ProgramNeeds& needs, const platform::Platform& platform);

}  // namespace skep
