/* Attributes of the public API. Included by every public header; needs nothing. */
#ifndef VHIVE_ATTR_H
#define VHIVE_ATTR_H

/** Exported from libvhive.so; everything else is hidden. */
#define VH_API __attribute__((visibility("default")))
/** The result must be looked at; ignoring it on purpose is written vh_ignore() with a reason beside it. */
#define VH_MUST_CHECK __attribute__((warn_unused_result))
/** printf-like: format is parameter |f|, its arguments start at |a|. */
#define VH_PRINTF(f, a) __attribute__((format(printf, f, a)))

#endif
