// SPDX-License-Identifier: Apache-2.0
// The example balancer as native code.
// clang-format off
#include "bpf_host.h"
#include "../../examples/balancer/balancer.bpf.c"

#define MAPS(X) X(services) X(backends) X(sessions) X(per_backend) X(totals)
NATIVE_PROGRAM(balancer, xdp_md, MAPS)
