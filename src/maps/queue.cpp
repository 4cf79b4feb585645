// SPDX-License-Identifier: Apache-2.0
// BPF_MAP_TYPE_QUEUE: first in, first out.
#include "maps/queue_stack.hpp"

namespace skep::maps {

Status make_queue(const MapDef& def, const MapEnv& env, const Map*, Map** out) {
    return QueueStack<false>::make(def, env, out);
}

}  // namespace skep::maps
