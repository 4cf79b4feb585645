// SPDX-License-Identifier: Apache-2.0
// The example flowmon as native code.
// clang-format off
#include "bpf_host.h"
#include "../../examples/flowmon/flowmon.bpf.c"

#define MAPS(X) X(flows) X(new_flows) X(totals)
NATIVE_PROGRAM(flowmon, xdp_md, MAPS)
