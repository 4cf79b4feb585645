// SPDX-License-Identifier: Apache-2.0
// What programs are told about the kernel they run in (`extern ... __kconfig`): the chosen platform's values.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "object/linked_program.hpp"
#include "object/object_spec.hpp"
#include "platform/platforms/platform.hpp"

namespace skep::runtime {

/// Values by name that programs read; "": nobody says it, and it is declared weak, so it is zero.
using KernelValues = std::map<std::string, std::string>;

/// Names with their values, as the text of a kernel's own file of its configuration: y, m, n, a number, "text".
struct KernelConfig {
    std::string source;  ///< "linux-5.15", for messages
    std::vector<std::pair<std::string, std::string>> values;

    /// The value of a name; null if it has none here.
    const std::string* find(std::string_view name) const;
    /// Takes every CONFIG_* of a configuration file (/boot/config-*, /proc/config.gz unpacked) that is not known yet:
    /// as with libbpf the first value counts. Errors: Syntax, with the line.
    Result<void> add_file(std::string_view text, const std::string& name);

    static KernelConfig of(const platform::Platform& platform);
    /// Of values that an earlier run or build has read: nothing else is known. `source` may not be empty.
    static KernelConfig of(std::string source, const KernelValues& values);
    /// Of the platform that skep itself is to programs: Linux 6.12.
    static KernelConfig own();
};

/// Puts what `program` reads of the kernel configuration into the object's .kconfig map, in the type that the program
/// declares (libbpf: set_kcfg_value_tri, _str and _num). A weak name without a value is zero. A configuration without a
/// source stands for skep's own. `read`, where not null, gets what the program was told.
/// Errors: Unresolved for a strong name without a value; Rejected for a value that the declared type cannot hold.
Result<void> fill_kernel_config(object::ObjectSpec& spec, const object::LinkedProgram& program,
                                const KernelConfig& given, KernelValues* read = nullptr);

}  // namespace skep::runtime
