// SPDX-License-Identifier: Apache-2.0
// BPF_MAP_TYPE_STACK: last in, first out.
#include "maps/queue_stack.hpp"

namespace skep::maps {

Status make_stack(const MapDef& def, const MapEnv& env, const Map*, Map** out) {
    return QueueStack<true>::make(def, env, out);
}

}  // namespace skep::maps
