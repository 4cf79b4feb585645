// SPDX-License-Identifier: Apache-2.0
// An image read without mapping it: whether mapping it could run anything, and where its descriptor lies. What is
// allowed is a list; everything else is refused by name.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "module/compiler.hpp"

namespace skep::module {

struct ImageFacts {
    Target target = Target::LinuxX86_64;
    Bytes descriptor;                  ///< inside the image's bytes
    std::vector<std::string> exports;  ///< names of what it offers
    size_t code_bytes = 0;             ///< of its executable segments
};

/// Reads an ELF or PE image (without signature trailer). Refuses, each by name, what runs while an image is mapped,
/// what binds it to other images, and what makes code writable: in ELF an interpreter, needed libraries, initialisers
/// and finalisers, any relocation (indirect functions first of all), thread-local storage, segments both writable and
/// executable, an executable stack, writable data; in PE imports, TLS, an entry point, such sections. Errors:
/// Malformed, Truncated; Rejected with what was found; Unsupported (another kind of file).
Result<ImageFacts> inspect_image(Bytes image);

/// Whether the bytes begin as an ELF or PE image of a machine modules are built for (an eBPF object does not).
bool is_native_image(Bytes bytes);

}  // namespace skep::module
