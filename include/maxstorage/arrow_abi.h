/* The structures of the Arrow C Data Interface, the Arrow C Stream Interface, and the asynchronous stream of the Arrow C Device Interface, as the Arrow specification defines them.
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

#ifndef ARROW_C_DEVICE_DATA_INTERFACE
#define ARROW_C_DEVICE_DATA_INTERFACE

/* Where memory is. */
typedef int32_t ArrowDeviceType;

#define ARROW_DEVICE_CPU 1
#define ARROW_DEVICE_CUDA 2
#define ARROW_DEVICE_CUDA_HOST 3
#define ARROW_DEVICE_OPENCL 4
#define ARROW_DEVICE_VULKAN 7
#define ARROW_DEVICE_METAL 8
#define ARROW_DEVICE_VPI 9
#define ARROW_DEVICE_ROCM 10
#define ARROW_DEVICE_ROCM_HOST 11
#define ARROW_DEVICE_EXT_DEV 12
#define ARROW_DEVICE_CUDA_MANAGED 13
#define ARROW_DEVICE_ONEAPI 14
#define ARROW_DEVICE_WEBGPU 15
#define ARROW_DEVICE_HEXAGON 16

/* An array in the memory of a device. */
struct ArrowDeviceArray {
  struct ArrowArray array;
  int64_t device_id;
  ArrowDeviceType device_type;
  void *sync_event;
  int64_t reserved[3];
};

#endif /* ARROW_C_DEVICE_DATA_INTERFACE */

#ifndef ARROW_C_ASYNC_STREAM_INTERFACE
#define ARROW_C_ASYNC_STREAM_INTERFACE

/* An array that is there to be taken: by one call of extract_data, which also cleans up; with NULL the array is dropped. */
struct ArrowAsyncTask {
  int (*extract_data)(struct ArrowAsyncTask *self, struct ArrowDeviceArray *out);
  void *private_data;
};

/* How a consumer asks for arrays and ends the stream. Both may be called from any thread, also from inside on_schema and on_next_task. */
struct ArrowAsyncProducer {
  ArrowDeviceType device_type;
  void (*request)(struct ArrowAsyncProducer *self, int64_t n);
  void (*cancel)(struct ArrowAsyncProducer *self);
  const char *additional_metadata;
  void *private_data;
};

/* What a producer calls, never two at once: on_schema first, on_next_task for each array and with NULL at the end, on_error for a
 * failure, and release last of all. */
struct ArrowAsyncDeviceStreamHandler {
  int (*on_schema)(struct ArrowAsyncDeviceStreamHandler *self, struct ArrowSchema *stream_schema);
  int (*on_next_task)(struct ArrowAsyncDeviceStreamHandler *self, struct ArrowAsyncTask *task, const char *metadata);
  void (*on_error)(struct ArrowAsyncDeviceStreamHandler *self, int code, const char *message, const char *metadata);
  void (*release)(struct ArrowAsyncDeviceStreamHandler *self);

  /* Set by the producer before its first call; valid until release is called. */
  struct ArrowAsyncProducer *producer;
  void *private_data;
};

#endif /* ARROW_C_ASYNC_STREAM_INTERFACE */

#ifdef __cplusplus
}
#endif

#endif /* MAXSTORAGE_ARROW_ABI_H */
