/* The structures of the Arrow C Data Interface and the Arrow C Stream Interface, as the Arrow specification defines them.
 *
 * They stand under their canonical guards, so that this header, Arrow's own headers and those of any other producer or consumer
 * can be included in one translation unit, in any order. maxstorage.h includes this file; nothing in it is specific to maxstorage.
 */
#ifndef MAXSTORAGE_ARROW_ABI_H
#define MAXSTORAGE_ARROW_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

/* The type of an array: a format string, a name, metadata, and the types of the children. */
struct ArrowSchema {
  const char *format;
  const char *name;
  const char *metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema **children;
  struct ArrowSchema *dictionary;

  /* Called once by the consumer when it is done; NULL marks a structure that was released or moved. */
  void (*release)(struct ArrowSchema *);
  void *private_data;
};

/* The data of an array: its buffers, its children, and where in them it starts. */
struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void **buffers;
  struct ArrowArray **children;
  struct ArrowArray *dictionary;

  /* Called once by the consumer when it is done; NULL marks a structure that was released or moved. */
  void (*release)(struct ArrowArray *);
  void *private_data;
};

#endif /* ARROW_C_DATA_INTERFACE */

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

/* A sequence of arrays of one type. get_schema and get_next return 0 or an errno value. */
struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
  int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);

  /* The text of the last failure, or NULL; valid until the next call on the stream. */
  const char *(*get_last_error)(struct ArrowArrayStream *);

  /* Called once by the consumer when it is done; NULL marks a structure that was released or moved. */
  void (*release)(struct ArrowArrayStream *);
  void *private_data;
};

#endif /* ARROW_C_STREAM_INTERFACE */

#ifdef __cplusplus
}
#endif

#endif /* MAXSTORAGE_ARROW_ABI_H */
