// SPDX-License-Identifier: Apache-2.0
#include "runtime/core/program.hpp"

#include <string.h>

#include <new>

#include "base/atomic.hpp"
#include "base/os.hpp"

namespace skep::runtime {

namespace {

/// Equal for programs that may tail-call each other; never 0.
uint64_t compatible_word(const ProgramDef& def) {
    return uint64_t{1} << 32 | static_cast<uint64_t>(def.engine) << 16 | static_cast<uint64_t>(def.personality) << 8 |
           static_cast<uint64_t>(def.type);
}

}  // namespace

Status Program::create(Lanes& lanes, const ProgramDef& def, Program** out) {
    const size_t table_bytes = def.map_count * sizeof(maps::Map*);
    void* memory = skep_os_alloc(sizeof(Program), alignof(Program));
    if (memory == nullptr) return Status(Errc::NoMemory, sizeof(Program));
    maps::Map** table = nullptr;
    if (def.map_count != 0) {
        table = static_cast<maps::Map**>(skep_os_alloc(table_bytes, alignof(maps::Map*)));
        if (table == nullptr) {
            skep_os_free(memory, sizeof(Program));
            return Status(Errc::NoMemory, table_bytes);
        }
    }
    Program* program = new (memory) Program(lanes);
    program->object_.program = program;
    program->object_.entry = def.entry;
    program->object_.id = def.id;
    program->object_.compatible = compatible_word(def);
    program->object_.on_retain = [](maps::ProgramObject* self) { static_cast<Object*>(self)->program->retain(); };
    program->object_.on_release = [](maps::ProgramObject* self) { static_cast<Object*>(self)->program->release(); };
    program->retired_.program = program;
    for (size_t i = 0; i + 1 < name_bytes && def.name[i] != 0; ++i) program->name_[i] = def.name[i];
    program->type_ = def.type;
    program->personality_ = def.personality;
    program->code_ = def.code;
    program->free_code_ = def.free_code;
    program->maps_ = table;
    program->map_count_ = def.map_count;
    for (uint32_t i = 0; i < def.map_count; ++i) {
        table[i] = def.maps[i];
        table[i]->retain();
    }
    *out = program;
    return {};
}

void Program::retain() { atomic::add_ordered(&references_, uint64_t{1}); }

void Program::release() {
    if (atomic::add_ordered(&references_, ~uint64_t{0}) != 1) return;
    lanes_->retire(&retired_, free_retired);
}

void Program::free_retired(Retired* retired) {
    Program* program = static_cast<RetiredProgram*>(retired)->program;
    if (program->free_code_ != nullptr) program->free_code_(program->code_);
    for (uint32_t i = 0; i < program->map_count_; ++i) program->maps_[i]->release();
    if (program->maps_ != nullptr) skep_os_free(program->maps_, program->map_count_ * sizeof(maps::Map*));
    skep_os_free(program, sizeof(Program));
}

}  // namespace skep::runtime
