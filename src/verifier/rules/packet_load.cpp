// SPDX-License-Identifier: Apache-2.0
// Classic packet loads (RFC 9669 section 5.5): r6 is the context, the program ends if the bytes are not there.
#include "verifier/rules/executor.hpp"

namespace skep::verifier {

bool Executor::packet_load() {
    if (subject_.program->bindings[at_].kind == BindingKind::Problem) return bind_problem();
    Val context;
    if (!read(6, context, "the context")) return false;
    const auto p = pointer_of(s, context);
    if (!p || s[p->base].region.kind != RegionKind::Context || context != Val::symbol(p->base)) {
        return fail(Rule::ArgumentType, "r6 is " + describe(context), 6, "the context");
    }
    Val index;
    if (row_.form == isa::Form::PacketInd && !read(insn_.src, index)) return false;
    if (s.frames.size() > 1) {
        return fail(Rule::NotModelled,
                    "a packet load inside a function ends the program from there, which is not modelled");
    }
    // It may end the program with r0 = 0.
    if (!nothing_held("end of the program, which this load may cause")) return false;
    for (unsigned r = 1; r < 6; ++r) s.unset_reg(r);
    write(0, fresh(loaded_number(row_.access_bytes())));
    return next(), true;
}

}  // namespace skep::verifier
