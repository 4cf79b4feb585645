// SPDX-License-Identifier: Apache-2.0
// CO-RE: every kind of relocation with types that match, are missing, are ambiguous (two flavours in the target, of
// which they say different things), are ambiguous without that mattering, and are flavoured themselves. One program
// each, so that a loader's refusal is about one record. TARGET compiles the "kernel".
#ifdef TARGET
struct plain { char pad[16]; int b; int a; unsigned int low : 7; int f : 5; long wide; };
struct amb___one { int a; int f : 5; };
struct amb___two { long pad; long a; unsigned int low : 4; unsigned int f : 9; char more[24]; };
struct twin___one { int z; int a; int f : 5; };
struct twin___two { int z; int a; int f : 5; };
enum eplain { E_A = 5, E_B = 6 };
enum eamb___one { X_A___one = 1 };
enum eamb___two { X_A___two = 2 };
enum etwin___one { T_A___one = 4 };
enum etwin___two { T_A___two = 4 };
struct plain g_plain;
struct amb___one g_amb1;
struct amb___two g_amb2;
struct twin___one g_twin1;
struct twin___two g_twin2;
enum eplain g_eplain;
enum eamb___one g_eamb1;
enum eamb___two g_eamb2;
enum etwin___one g_etwin1;
enum etwin___two g_etwin2;
#else
#define SEC(name) __attribute__((section(name), used))
#define CORE __attribute__((preserve_access_index))
struct plain { int a; int b; int f : 5; int absent; } CORE;
struct plain___v9 { int b; int a; int f : 5; int absent; } CORE;
struct amb { int a; int f : 5; } CORE;
struct twin { int a; int f : 5; } CORE;
struct gone { int a; int f : 5; } CORE;
enum eplain { E_A = 1, E_ABSENT = 2 };
enum eplain___v9 { E_A___v9 = 1, E_ABSENT___v9 = 2 };
enum eamb { X_A = 9 };
enum etwin { T_A = 9 };
enum egone { G_A = 9 };

#define FIELD(kind, name, type, field)                                  \
	SEC("xdp") unsigned long long field_##kind##_##name(struct type *t) \
	{                                                               \
		return __builtin_preserve_field_info(t->field, kind);   \
	}
#define FIELDS(kind)                             \
	FIELD(kind, match, plain, a)             \
	FIELD(kind, bits, plain, f)              \
	FIELD(kind, missing_member, plain, absent) \
	FIELD(kind, missing_type, gone, a)       \
	FIELD(kind, ambiguous, amb, a)           \
	FIELD(kind, ambiguous_bits, amb, f)      \
	FIELD(kind, agreed, twin, a)             \
	FIELD(kind, flavoured, plain___v9, a)    \
	FIELD(kind, flavoured_missing, plain___v9, absent)
FIELDS(0) /* offset */
FIELDS(1) /* size */
FIELDS(2) /* exists */
FIELDS(3) /* signed */
FIELDS(4) /* left shift */
FIELDS(5) /* right shift */

#define LOAD(name, type)                       \
	SEC("xdp") int load_##name(struct type *t) \
	{                                      \
		return t->a;                   \
	}
LOAD(match, plain)
LOAD(missing, gone)
LOAD(ambiguous, amb)
LOAD(agreed, twin)
LOAD(flavoured, plain___v9)

#define TYPE(builtin, kind, name, type)                                      \
	SEC("xdp") unsigned long long builtin##_##kind##_##name(void *ctx)   \
	{                                                                    \
		return TYPE_##builtin(*(struct type *)0, kind);              \
	}
#define TYPE_info __builtin_preserve_type_info
#define TYPE_id __builtin_btf_type_id
#define TYPES(builtin, kind)               \
	TYPE(builtin, kind, match, plain)  \
	TYPE(builtin, kind, missing, gone) \
	TYPE(builtin, kind, ambiguous, amb) \
	TYPE(builtin, kind, agreed, twin)  \
	TYPE(builtin, kind, flavoured, plain___v9)
TYPES(id, 0)   /* local */
TYPES(id, 1)   /* target */
TYPES(info, 0) /* exists */
TYPES(info, 1) /* size */
TYPES(info, 2) /* matches */

#define ENUM(kind, name, type, value)                                              \
	SEC("xdp") unsigned long long enum_##kind##_##name(void *ctx)              \
	{                                                                          \
		return __builtin_preserve_enum_value(*(enum type *)value, kind);   \
	}
#define ENUMS(kind)                              \
	ENUM(kind, match, eplain, E_A)           \
	ENUM(kind, missing_value, eplain, E_ABSENT) \
	ENUM(kind, missing_type, egone, G_A)     \
	ENUM(kind, ambiguous, eamb, X_A)         \
	ENUM(kind, agreed, etwin, T_A)           \
	ENUM(kind, flavoured, eplain___v9, E_A___v9) \
	ENUM(kind, flavoured_missing, eplain___v9, E_ABSENT___v9)
ENUMS(0) /* exists */
ENUMS(1) /* value */
#endif

char LICENSE[] __attribute__((section("license"), used)) = "GPL";
