// SPDX-License-Identifier: Apache-2.0
// CO-RE relocations of every kind. TARGET compiles the "kernel" they are matched against: same names, other layout.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#ifdef TARGET

enum mode { MODE_ON = 7, MODE_OFF = 3 };
struct point { long pad; int y; int x; };
union number { int whole; char part[12]; };
struct thing {
    char extra[24];
    struct {
        struct point where[4];
    };
    unsigned int low : 3, flag : 5;
    union number u;
    short count;
    struct thing *next;
    const char *name;
};
typedef struct thing thing_t;
struct thing g_thing;
enum mode g_mode;
thing_t *g_t;

#else

#define __core __attribute__((preserve_access_index))

enum mode { MODE_ON = 1, MODE_GONE = 2 };
struct point { int x, y; } __core;
union number { int whole; } __core;
struct thing {
    int count;
    struct point where[2];
    unsigned int flag : 9;
    union number u;
    struct thing *next;
    int gone;
} __core;
struct thing___old { int older; } __core;
struct missing { int a; } __core;
typedef struct thing thing_t;

#define read_field(f) __builtin_preserve_field_info(f, 0)

volatile __u64 out[32];

SEC("xdp")
int offsets(struct thing *t) {
    out[0] = read_field(t->count);
    out[1] = read_field(t->where[1].y);
    out[2] = read_field(t->u.whole);
    return 0;
}

SEC("xdp")
int loads(struct thing *t) {
    out[0] = t->count;
    out[1] = t->where[1].x;
    t->where[0].y = 5;
    return 0;
}

SEC("xdp")
int info(struct thing *t) {
    out[0] = __builtin_preserve_field_info(t->count, 1);   /* byte size */
    out[1] = __builtin_preserve_field_info(t->count, 2);   /* exists */
    out[2] = __builtin_preserve_field_info(t->gone, 2);
    out[3] = __builtin_preserve_field_info(t->flag, 3);    /* signed */
    out[4] = __builtin_preserve_field_info(t->flag, 0);
    out[5] = __builtin_preserve_field_info(t->flag, 4);    /* left shift */
    out[6] = __builtin_preserve_field_info(t->flag, 5);    /* right shift */
    out[7] = __builtin_preserve_field_info(((struct thing___old *)t)->older, 2);
    return 0;
}

SEC("xdp")
int types(void *ctx) {
    out[0] = __builtin_btf_type_id(*(struct thing *)0, 0);         /* local */
    out[1] = __builtin_btf_type_id(*(struct thing *)0, 1);         /* target */
    out[2] = __builtin_preserve_type_info(*(struct thing *)0, 0);  /* exists */
    out[3] = __builtin_preserve_type_info(*(struct missing *)0, 0);
    out[4] = __builtin_preserve_type_info(*(struct thing *)0, 1);  /* size */
    out[5] = __builtin_preserve_type_info(*(struct point *)0, 2);  /* matches */
    out[6] = __builtin_preserve_type_info(*(struct thing *)0, 2);
    out[7] = __builtin_preserve_type_info(*(thing_t *)0, 0);
    return 0;
}

SEC("xdp")
int enums(void *ctx) {
    out[0] = __builtin_preserve_enum_value(*(enum mode *)MODE_ON, 0);  /* exists */
    out[1] = __builtin_preserve_enum_value(*(enum mode *)MODE_ON, 1);  /* value */
    out[2] = __builtin_preserve_enum_value(*(enum mode *)MODE_GONE, 0);
    return 0;
}

SEC("xdp")
int reads_gone(struct thing *t) { return t->gone; }

#endif

char LICENSE[] SEC("license") = "GPL";
