// SPDX-License-Identifier: Apache-2.0
// What this build of skep offers programs: the platform "skep" (platform/platforms/platform.hpp).
#pragma once

#include "platform/platforms/platform.hpp"

namespace skep::runtime {

platform::HostOffer host_offer();

}  // namespace skep::runtime
