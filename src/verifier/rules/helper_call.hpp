// SPDX-License-Identifier: Apache-2.0
// One helper call under execution: what its arguments have told. Internal to the rules.
#pragma once

#include <optional>
#include <string>

#include "platform/helper.hpp"
#include "verifier/rules/executor.hpp"

namespace skep::verifier {

class HelperCall {
  public:
    HelperCall(Executor& executor, platform::HelperId helper, const platform::HelperRow& helper_row, std::string text)
        : x(executor), id(helper), row(helper_row), name(std::move(text)) {}
    bool run();

  private:
    // Arguments (arguments.cpp). `reg` is the register, 1 to 5.
    bool argument(unsigned i);
    bool map_argument(unsigned reg, const Val& v);
    bool context_argument(unsigned reg, const Val& v);
    bool fixed_memory(unsigned reg, const Val& v, uint32_t bytes, Access access);
    bool aligned(unsigned reg, const Val& v, uint32_t bytes);
    bool sized_memory(unsigned i, const Val& v, Access access, bool or_null);
    bool memory(unsigned reg, const Val& v, const Val& size, Access access);
    bool record_argument(unsigned reg, const Val& v);
    bool string_argument(unsigned reg, const Val& v);
    bool special_argument(unsigned reg, const Val& v, SpecialKind kind);
    bool socket_argument(unsigned reg, const Val& v, bool common);
    bool note_key(const Val& v);
    bool own_if_releasing(const Pointer& p, unsigned reg);
    bool fills_target();
    bool wrong(Rule rule, unsigned reg, const Val& v, const std::string& wanted);
    bool is_null(const Val& v) const { return x.number(v).is_constant() && x.number(v).umin() == 0; }
    const MapInfo& map_info() const { return x.subject_.maps[map]; }
    Outcome& out() { return x.out_; }

    // After them (helper.cpp).
    bool finish();
    bool begin_callback();
    bool result(const Num& size);

    // What is known of the one call that this object lives for.
    // NOLINTBEGIN(readability-identifier-naming)
    Executor& x;
    platform::HelperId id;
    const platform::HelperRow& row;
    std::string name;

    uint16_t map = no_map;        ///< of the ConstMapPtr argument
    uint16_t value_map = no_map;  ///< whose value holds the lock or timer
    uint16_t function = 0;
    uint32_t record_size = 0;
    bool has_size = false;
    Val size_value;
    Sym released = no_sym;
    Sym socket = no_sym;  ///< the last socket argument: a socket result that is not acquired lives as long as it
    std::optional<Sym> lock_base;
    uint32_t lock_offset = 0;
    std::optional<uint32_t> key;  ///< a constant 4-byte key
    bool key_inside = false;      ///< a 4-byte key that is below the map's number of entries
    // NOLINTEND(readability-identifier-naming)
};

}  // namespace skep::verifier
