// SPDX-License-Identifier: Apache-2.0
// Mapping bytes that were checked: exactly those, whatever happens to the file they came from. One body per host.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace skep::module {

/// An image in this process. Unmapped when it goes; nobody may be inside then.
class MappedImage {
  public:
    /// Copies `bytes` where no other process can change them, and maps the copy. Linux: a sealed memfd that dlopen()
    /// takes by its descriptor. Windows: a private file that is open without sharing for writing as long as it is
    /// mapped, compared with `bytes` once more through that handle. Requires: inspect_image() passed, so that nothing
    /// of the image runs by being mapped. Errors: Unavailable (the system refuses the image: its words), CannotRead.
    static Result<std::unique_ptr<MappedImage>> map(Bytes bytes);
    virtual ~MappedImage() = default;
    MappedImage(const MappedImage&) = delete;
    MappedImage& operator=(const MappedImage&) = delete;

    /// Address of an exported name; null if there is none.
    virtual void* symbol(const char* name) const = 0;

  protected:
    MappedImage() = default;
};

}  // namespace skep::module
