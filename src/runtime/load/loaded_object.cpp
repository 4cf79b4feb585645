// SPDX-License-Identifier: Apache-2.0
#include "runtime/load/loaded_object.hpp"

#include <fmt/format.h>

#include "base/os.hpp"
#include "maps/prog_array.hpp"
#include "platform/context.hpp"
#include "platform/program_type.hpp"
#include "runtime/core/helpers.hpp"
#include "runtime/load/link_program.hpp"
#include "runtime/load/unverified.hpp"
#include "runtime/load/verify_program.hpp"

namespace skep::runtime {

namespace {

/// Programs to load: the named ones, else those without '?', and all that program arrays of the object name.
Result<std::vector<uint32_t>> select(const object::ObjectSpec& spec, const LoadOptions& options) {
    std::vector<bool> chosen(spec.programs.size());
    for (const std::string& name : options.programs) {
        const uint32_t index = spec.find_program(name);
        if (index == object::no_index) {
            return Error(Errc::Unresolved, fmt::format("there is no program \"{}\"", name), {},
                         "skep inspect lists the object's programs")
                .in_file(spec.file);
        }
        chosen[index] = true;
    }
    if (options.programs.empty())
        for (size_t i = 0; i < chosen.size(); ++i) chosen[i] = spec.programs[i].autoload;
    for (const object::MapSpec& map : spec.maps)
        for (const object::MapSlot& slot : map.slots)
            if (slot.is_program) chosen[slot.target] = true;
    std::vector<uint32_t> list;
    for (size_t i = 0; i < chosen.size(); ++i)
        if (chosen[i]) list.push_back(static_cast<uint32_t>(i));
    return list;
}

struct Prepared {
    uint32_t index = 0;
    BoundProgram bound;
};

Result<Prepared> prepare(object::ObjectSpec& spec, uint32_t index, const LoadOptions& options, TargetTypes& target) {
    SKEP_ASSIGN(const object::LinkedProgram linked, link_program(spec, index, target));
    Prepared prepared;
    prepared.index = index;
    BindOptions bind_options = options.bind;
    // The verifier knows what is reached; the caller, where it vouches for ready code, has asked it.
    if (!options.allow_unverified && !options.ready_code) bind_options.keep_problems = true;
    SKEP_ASSIGN(prepared.bound, bind(spec, linked, bind_options));
    if (!platform::program_type_hosted(prepared.bound.type) && !options.contexts_from_outside)
        return Error(Errc::Unavailable,
                     fmt::format("nothing here runs {} programs", platform::program_type_name(prepared.bound.type)),
                     "no hook of that type on this host",
                     platform::program_type_host(prepared.bound.type) == platform::HostedBy::Contexts
                         ? "skep run --contexts FILE runs it over contexts that a file describes"
                         : "such a program can be verified");
    // A context that a file describes has no sockets behind it: a pointer that is never null has nothing to lead to.
    for (size_t at = 0; options.contexts_from_outside && at < prepared.bound.bindings.size(); ++at) {
        const Binding& binding = prepared.bound.bindings[at];
        if (binding.kind != BindingKind::Context) continue;
        const auto& field = platform::context_field(static_cast<platform::FieldId>(binding.context.field));
        if (field.kind == platform::FieldKind::Socket || field.kind == platform::FieldKind::FlowKeys ||
            field.kind == platform::FieldKind::TracepointBuffer)
            return Error(Errc::Unavailable, Where{.insn = static_cast<isa::InsnIndex>(at)},
                         fmt::format("there is nothing behind field {} here", field.name),
                         "contexts from a file have no objects of the kernel");
    }
    return prepared;
}

/// ProgramDef::engine of native modules; EngineKind counts from 0.
constexpr uint8_t native_engine = 0xff;

/// The program's code: ready, or made by the engine of a program that may run.
Result<LoadOptions::Ready> make_code(const object::ObjectSpec& spec, BoundProgram bound, const engine::LinkTable& link,
                                     const LoadOptions& options) {
    if (options.ready_code) return options.ready_code(bound, link);
    const uint64_t before = skep_os_monotonic_ns();
    SKEP_ASSIGN(const ExecutableProgram executable,
                options.allow_unverified ? make_unverified(std::move(bound)) : verify_program(spec, std::move(bound)));
    if (options.admit) SKEP_TRY(options.admit(executable));
    LoadOptions::Ready ready;
    ready.verified = executable.verified();
    ready.verify_ns = skep_os_monotonic_ns() - before;
    SKEP_ASSIGN(ready.code, compile_with(options.engine, executable, link));
    return ready;
}

}  // namespace

Result<std::unique_ptr<LoadedObject>> LoadedObject::load(std::shared_ptr<const object::ObjectSpec> spec,
                                                         const LoadOptions& options) {
    std::unique_ptr<LoadedObject> loaded(new LoadedObject());
    const auto own = std::make_shared<object::ObjectSpec>(*spec);  // the kernel configuration is filled in
    loaded->spec_ = own;
    const object::ObjectSpec& object = *own;
    loaded->lanes_.reset(Lanes::create(options.lanes));
    if (loaded->lanes_ == nullptr) return Error(Errc::NoMemory, "there is no memory for lanes");

    SKEP_ASSIGN(const std::vector<uint32_t> chosen, select(object, options));
    std::vector<Prepared> prepared;
    TargetTypes target{options.target_btf};
    target.recorded = options.core_answers;
    target.config = options.kernel_config;
    std::vector<bool> wanted(object.maps.size());
    for (const std::string& name : options.maps)
        if (const uint32_t index = object.find_map(name); index != object::no_index) wanted[index] = true;
    platform::Personality personality = platform::Personality::Linux;
    for (const uint32_t index : chosen) {
        Result<Prepared> one = prepare(*own, index, options, target);
        if (!one) return std::move(one).error().in_file(object.file);
        for (const MapUse& use : one->bound.maps) wanted[use.map] = true;
        personality = one->bound.personality;
        prepared.push_back(*std::move(one));
    }
    loaded->core_answers_ = std::move(target.answers);
    loaded->kernel_values_ = std::move(target.told);

    maps::MapEnv env;
    env.lanes = loaded->lanes_.get();
    env.hash_seed = options.seed ? *options.seed | 1 : 0;  // 0 would mean: draw one
    Result<std::vector<MapRef>> made = make_maps(object, personality, env, wanted);
    if (!made) return std::move(made).error().in_file(object.file);
    loaded->maps_ = *std::move(made);

    for (Prepared& one : prepared) {
        std::vector<maps::Map*> maps;
        std::vector<void*> map_words;
        std::vector<MapLayout> layouts;
        std::vector<uint8_t*> values;
        for (const MapUse& use : one.bound.maps) {
            maps::Map* map = loaded->maps_[use.map].get();
            maps.push_back(map);
            map_words.push_back(map);
            layouts.push_back(map->layout());
            values.push_back(map->direct_value());
        }
        const platform::ProgramType type = one.bound.type;
        const platform::AttachType attach = one.bound.attach;
        const std::string name = one.bound.linked.name;
        const size_t instructions = one.bound.linked.code.size();
        const engine::LinkTable link = {
            .helpers =
                options.helpers.empty() ? std::span(helper_functions(), 2 * helper_functions_count) : options.helpers,
            .maps = map_words,
            .layouts = layouts,
            .map_values = values,
        };
        const uint64_t before = skep_os_monotonic_ns();
        Result<LoadOptions::Ready> ready = make_code(object, std::move(one.bound), link, options);
        if (!ready) return std::move(ready).error().in_file(object.file).in_function(name);
        std::unique_ptr<engine::CompiledCode>& code = ready->code;

        LoadedProgram program;
        program.compile_ns = skep_os_monotonic_ns() - before - ready->verify_ns;
        program.index = one.index;
        program.attach = attach;
        program.instructions = instructions;
        program.code_bytes = code->code_bytes();
        program.verified = ready->verified;
        ProgramDef def;
        def.id = static_cast<uint32_t>(loaded->programs_.size() + 1);
        def.name = name.c_str();
        def.type = type;
        def.personality = personality;
        def.engine = options.ready_code ? native_engine : static_cast<uint8_t>(options.engine);
        def.entry = code->entry();
        def.code = code.get();
        def.free_code = [](void* self) { delete static_cast<engine::CompiledCode*>(self); };
        def.maps = maps.data();
        def.map_count = static_cast<uint32_t>(maps.size());
        Program* made_program = nullptr;
        if (const Status status = Program::create(*loaded->lanes_, def, &made_program); !status.ok())
            return Error(status, fmt::format("program \"{}\" cannot be made", name));
        (void)code.release();  // the program's now
        program.program.reset(made_program);
        loaded->programs_.push_back(std::move(program));
    }

    for (size_t i = 0; i < object.maps.size(); ++i) {
        maps::ProgArray* array = maps::ProgArray::of(loaded->maps_[i].get());
        if (array == nullptr) continue;
        for (const object::MapSlot& slot : object.maps[i].slots) {
            if (!slot.is_program) continue;
            const LoadedProgram* target = loaded->find(object.programs[slot.target].name);
            const Status status = array->set(&slot.key, target->program->object(), 0);
            if (!status.ok()) {
                return Error(status.code,
                             fmt::format("program \"{}\" cannot stand in map \"{}\" at key {}",
                                         object.programs[slot.target].name, object.maps[i].name, slot.key),
                             fmt::format("{} ({})", meaning_of(status.code), errno_name(status.code)));
            }
        }
    }
    return loaded;
}

LoadedObject::~LoadedObject() {
    // Programs and program arrays hold each other: empty the arrays first.
    for (const MapRef& map : maps_)
        if (maps::ProgArray* array = maps::ProgArray::of(map.get()); array != nullptr) array->clear();
    programs_.clear();
    maps_.clear();
    if (lanes_ != nullptr) lanes_->drain();
}

const LoadedProgram* LoadedObject::find(std::string_view name) const {
    for (const LoadedProgram& program : programs_)
        if (spec_->programs[program.index].name == name) return &program;
    return nullptr;
}

Result<uint32_t> choose_program(const object::ObjectSpec& spec, std::optional<std::string_view> name,
                                platform::HostedBy way) {
    if (name) {
        const uint32_t index = spec.find_program(*name);
        if (index != object::no_index) return index;
        return Error(Errc::Unresolved, fmt::format("there is no program \"{}\"", *name), {},
                     "skep inspect lists the object's programs")
            .in_file(spec.file);
    }
    std::vector<uint32_t> found;
    std::string names;
    bool described = false;
    for (size_t i = 0; i < spec.programs.size(); ++i) {
        const object::ProgramSpec& program = spec.programs[i];
        const auto meaning = platform::section_meaning(program.section);
        if (!meaning || !program.autoload) continue;
        const platform::HostedBy hosting = platform::program_type_host(meaning->type);
        described = described || hosting == platform::HostedBy::Contexts;
        if (hosting != way) continue;
        found.push_back(static_cast<uint32_t>(i));
        names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", program.name, program.section);
    }
    // Programs that only tail calls reach stand in a program array; they are no entry points.
    if (found.size() > 1) {
        std::vector<uint32_t> entries;
        for (const uint32_t index : found) {
            bool called = false;
            for (const object::MapSpec& map : spec.maps)
                for (const object::MapSlot& slot : map.slots)
                    called = called || (slot.is_program && slot.target == index);
            if (!called) entries.push_back(index);
        }
        if (entries.size() == 1) found = entries;
    }
    if (found.size() == 1) return found[0];
    if (found.empty() && way == platform::HostedBy::Contexts)
        return Error(Errc::Unresolved, "the object has no program that runs over contexts from a file", {},
                     "sock_addr, sock_ops, bind and process programs do; name one with --program if its section says "
                     "otherwise")
            .in_file(spec.file);
    if (found.empty())
        return Error(Errc::Unresolved, "the object has no program that a packet hook can run", {},
                     described ? "its programs run over contexts that a file describes: --contexts FILE"
                               : "xdp, tc and socket programs can be run; name one with --program if its section says "
                                 "otherwise")
            .in_file(spec.file);
    return Error(Errc::InvalidArgument, "the object has several programs that can be run", names,
                 "choose one with --program")
        .in_file(spec.file);
}

}  // namespace skep::runtime
