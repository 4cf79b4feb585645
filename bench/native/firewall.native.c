// SPDX-License-Identifier: Apache-2.0
// The example firewall as native code.
// clang-format off
#include "bpf_host.h"
#include "../../examples/firewall/firewall.bpf.c"

#define MAPS(X) X(blocked4) X(blocked6) X(ports) X(syns) X(counters) X(events)
NATIVE_PROGRAM(firewall, xdp_md, MAPS)
