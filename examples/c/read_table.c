/* Prints the schema and the first rows of any MaxCompute table.
 *
 *     read_table ENDPOINT PROJECT.SCHEMA.TABLE [COLUMNS] [FILTER]
 *
 * The library delivers a table as Arrow arrays in the C Data Interface; this program shows how each type of that interface is
 * laid out in memory. From top to bottom: a growing text, the formatting of single values, of nested values, of the schema,
 * the reading loop, and the aligned output. Credentials come from the environment. */
#include <inttypes.h>
#include <maxstorage.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------------------ growing text */

typedef struct {
  char *bytes; /* NUL-terminated once something was added */
  size_t length, capacity;
} text;

static void *or_die(void *memory) {
  if (memory != NULL) return memory;
  fputs("read_table: out of memory\n", stderr);
  exit(EXIT_FAILURE);
}

static void add_bytes(text *out, const char *bytes, size_t length) {
  if (out->length + length + 1 > out->capacity) {
    out->capacity = 2 * (out->length + length) + 32;
    out->bytes = or_die(realloc(out->bytes, out->capacity));
  }
  if (length > 0) memcpy(out->bytes + out->length, bytes, length);
  out->length += length;
  out->bytes[out->length] = '\0';
}

static void add(text *out, const char *format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  const int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (length > 0) add_bytes(out, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

/* ----------------------------------------------------------------------------------------------------------- single values */

/* Text from a table goes to a terminal: control characters are escaped, UTF-8 passes through. */
static void add_text(text *out, const char *bytes, size_t length, bool quoted) {
  if (quoted) add_bytes(out, "'", 1);
  for (size_t i = 0; i < length; i++) {
    const unsigned char c = (unsigned char)bytes[i];
    if (c == '\n') {
      add(out, "\\n");
    } else if (c == '\t') {
      add(out, "\\t");
    } else if (c < 0x20 || c == 0x7f) {
      add(out, "\\x%02x", c);
    } else if (quoted && (c == '\'' || c == '\\')) {
      add(out, "\\%c", c);
    } else {
      add_bytes(out, bytes + i, 1);
    }
  }
  if (quoted) add_bytes(out, "'", 1);
}

static void add_binary(text *out, const unsigned char *bytes, size_t length) {
  add(out, "X'");
  for (size_t i = 0; i < length; i++) add(out, "%02x", bytes[i]);
  add(out, "'");
}

/* The shortest decimal text that reads back as the same number. */
static void add_float(text *out, double value, bool single) {
  char line[64] = "";
  for (int digits = 1; digits <= (single ? 9 : 17); digits++) {
    snprintf(line, sizeof line, "%.*g", digits, value);
    const double back = strtod(line, NULL);
    if (single ? (float)back == (float)value : back == value) break;
  }
  add(out, "%s", line);
}

/* Little-endian two's complement of `width` bytes, `scale` digits after the point. */
static void add_decimal(text *out, const unsigned char *bytes, size_t width, int scale) {
  uint32_t limbs[8] = {0};
  const size_t count = width / 4;
  memcpy(limbs, bytes, width); /* least significant limb first, as the ABI's byte order says */
  const bool negative = (limbs[count - 1] >> 31) != 0;
  if (negative) {
    uint64_t carry = 1;
    for (size_t i = 0; i < count; i++) {
      carry += (uint32_t)~limbs[i];
      limbs[i] = (uint32_t)carry;
      carry >>= 32;
    }
  }
  char digits[96]; /* least significant first */
  int length = 0;
  for (bool more = true; more;) {
    uint64_t rest = 0;
    more = false;
    for (size_t i = count; i-- > 0;) {
      rest = rest << 32 | limbs[i];
      limbs[i] = (uint32_t)(rest / 10);
      rest %= 10;
      if (limbs[i] != 0) more = true;
    }
    digits[length++] = (char)('0' + rest);
  }
  while (length <= scale) digits[length++] = '0';
  if (negative) add(out, "-");
  while (length-- > 0) {
    add_bytes(out, &digits[length], 1);
    if (length == scale && length > 0) add(out, ".");
  }
}

static int64_t floor_div(int64_t value, int64_t divisor) { return value / divisor - (value % divisor < 0); }

/* Days since 1970-01-01 in the proleptic Gregorian calendar, counted in years that begin in March. */
static void add_date(text *out, int64_t days) {
  const int64_t shifted = days + 719468;
  const int64_t era = floor_div(shifted, 146097);
  const int64_t day_of_era = shifted - era * 146097;
  const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t month_from_march = (5 * day_of_year + 2) / 153;
  const int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  const int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  add(out, "%04" PRId64 "-%02" PRId64 "-%02" PRId64, year, month, day_of_year - (153 * month_from_march + 2) / 5 + 1);
}

static void add_fraction(text *out, int64_t fraction, int digits) {
  if (digits > 0) add(out, ".%0*" PRId64, digits, fraction);
}

static void add_time_of_day(text *out, int64_t units, int64_t per_second, int digits) {
  const int64_t seconds = units / per_second;
  add(out, "%02" PRId64 ":%02" PRId64 ":%02" PRId64, seconds / 3600, seconds / 60 % 60, seconds % 60);
  add_fraction(out, units % per_second, digits);
}

/* `unit` is the letter of the Arrow format: s, m, u or n. */
static int digits_of(char unit) { return unit == 's' ? 0 : unit == 'm' ? 3 : unit == 'u' ? 6 : 9; }

static int64_t per_second_of(char unit) { return unit == 's' ? 1 : unit == 'm' ? 1000 : unit == 'u' ? 1000000 : 1000000000; }

static void add_timestamp(text *out, int64_t value, char unit) {
  const int64_t per_day = 86400 * per_second_of(unit);
  const int64_t day = floor_div(value, per_day);
  add_date(out, day);
  add(out, " ");
  const int64_t rest = value % per_day; /* day * per_day may not fit */
  add_time_of_day(out, rest < 0 ? rest + per_day : rest, per_second_of(unit), digits_of(unit));
}

static void add_months(text *out, int32_t months) {
  const int64_t magnitude = months < 0 ? -(int64_t)months : months;
  add(out, "%s%" PRId64 "-%02" PRId64, months < 0 ? "-" : "", magnitude / 12, magnitude % 12);
}

static void add_day_time(text *out, int32_t days, int32_t milliseconds) {
  const int64_t total = (int64_t)days * 86400000 + milliseconds;
  const int64_t magnitude = total < 0 ? -total : total;
  add(out, "%s%" PRId64 " ", total < 0 ? "-" : "", magnitude / 86400000);
  add_time_of_day(out, magnitude % 86400000, 1000, 3);
}

/* ---------------------------------------------------------------------------------------------------------- any Arrow value */

#define LOAD(type, buffer, index) (*(const type *)memcpy(&(type){0}, (const char *)(buffer) + (size_t)(index) * sizeof(type), sizeof(type)))

static bool is_null(const struct ArrowArray *array, int64_t index) {
  if (array->null_count == 0 || array->n_buffers == 0 || array->buffers[0] == NULL) return false;
  const unsigned char *validity = array->buffers[0];
  return (validity[index / 8] >> (index % 8) & 1) == 0;
}

static bool starts_with(const char *word, const char *prefix) { return strncmp(word, prefix, strlen(prefix)) == 0; }

static void add_value(text *out, const struct ArrowSchema *type, const struct ArrowArray *array, int64_t row, bool nested);

static void add_list(text *out, const struct ArrowSchema *type, const struct ArrowArray *array, int64_t begin, int64_t end) {
  const bool map = starts_with(type->format, "+m");
  add(out, map ? "{" : "[");
  for (int64_t i = begin; i < end; i++) {
    if (i > begin) add(out, ", ");
    const struct ArrowSchema *entry_type = type->children[0];
    const struct ArrowArray *entries = array->children[0];
    if (map) { /* the entries of a map are a struct of key and value */
      add_value(out, entry_type->children[0], entries->children[0], i + entries->offset, true);
      add(out, ": ");
      add_value(out, entry_type->children[1], entries->children[1], i + entries->offset, true);
    } else {
      add_value(out, entry_type, entries, i, true);
    }
  }
  add(out, map ? "}" : "]");
}

static void add_struct(text *out, const struct ArrowSchema *type, const struct ArrowArray *array, int64_t index) {
  add(out, "{");
  for (int64_t i = 0; i < type->n_children; i++) {
    if (i > 0) add(out, ", ");
    add_text(out, type->children[i]->name, strlen(type->children[i]->name), false);
    add(out, ": ");
    add_value(out, type->children[i], array->children[i], index, true);
  }
  add(out, "}");
}

/* One value. `row` counts from the start of the array as its parent sees it; the array's own offset comes on top. */
static void add_value(text *out, const struct ArrowSchema *type, const struct ArrowArray *array, int64_t row, bool nested) {
  const char *format = type->format;
  const int64_t index = row + array->offset;
  if (strcmp(format, "n") == 0 || is_null(array, index)) {
    add(out, "NULL");
    return;
  }
  const void *values = array->n_buffers > 1 ? array->buffers[1] : NULL;
  switch (format[0]) {
    case 'b': add(out, "%s", (((const unsigned char *)values)[index / 8] >> (index % 8) & 1) ? "true" : "false"); return;
    case 'c': add(out, "%d", LOAD(int8_t, values, index)); return;
    case 's': add(out, "%d", LOAD(int16_t, values, index)); return;
    case 'i': add(out, "%" PRId32, LOAD(int32_t, values, index)); return;
    case 'l': add(out, "%" PRId64, LOAD(int64_t, values, index)); return;
    case 'f': add_float(out, LOAD(float, values, index), true); return;
    case 'g': add_float(out, LOAD(double, values, index), false); return;
    case 'u':
    case 'z': {
      const int32_t begin = LOAD(int32_t, values, index), end = LOAD(int32_t, values, index + 1);
      const char *bytes = array->buffers[2];
      if (format[0] == 'u') {
        add_text(out, begin < end ? bytes + begin : "", (size_t)(end - begin), nested);
      } else {
        add_binary(out, begin < end ? (const unsigned char *)bytes + begin : NULL, (size_t)(end - begin));
      }
      return;
    }
    case 'd': { /* d:precision,scale for Decimal128; d:precision,scale,256 for Decimal256 */
      int precision = 0, scale = 0, bits = 128;
      if (sscanf(format, "d:%d,%d,%d", &precision, &scale, &bits) < 2 || (bits != 128 && bits != 256)) break;
      add_decimal(out, (const unsigned char *)values + (size_t)index * (size_t)bits / 8, (size_t)bits / 8, scale);
      return;
    }
    case 't':
      if (strcmp(format, "tdD") == 0) {
        add_date(out, LOAD(int32_t, values, index));
        return;
      }
      if (starts_with(format, "ts")) { /* tsX:zone; values are UTC whatever the zone says */
        add_timestamp(out, LOAD(int64_t, values, index), format[2]);
        return;
      }
      if (strcmp(format, "tiM") == 0) {
        add_months(out, LOAD(int32_t, values, index));
        return;
      }
      if (strcmp(format, "tiD") == 0) {
        add_day_time(out, LOAD(int32_t, values, 2 * index), LOAD(int32_t, values, 2 * index + 1));
        return;
      }
      break;
    case '+':
      if (strcmp(format, "+s") == 0) {
        add_struct(out, type, array, index);
        return;
      }
      if (strcmp(format, "+l") == 0 || strcmp(format, "+m") == 0) {
        add_list(out, type, array, LOAD(int32_t, values, index), LOAD(int32_t, values, index + 1));
        return;
      }
      break;
    default: break;
  }
  add(out, "<%s>", format); /* a type that the Storage API does not deliver */
}

/* ----------------------------------------------------------------------------------------------------------------- schema */

/* The name of a type, in the words of MaxCompute where they are the same thing. */
static void add_type(text *out, const struct ArrowSchema *type) {
  static const struct {
    const char *format, *name;
  } names[] = {{"c", "tinyint"},   {"s", "smallint"}, {"i", "int"},  {"l", "bigint"},
               {"f", "float"},     {"g", "double"},   {"b", "boolean"},   {"u", "string"},  {"z", "binary"},
               {"tdD", "date"},    {"n", "void"},     {"tiM", "interval_year_month"},       {"tiD", "interval_day_time"}};
  const char *format = type->format;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (strcmp(format, names[i].format) == 0) {
      add(out, "%s", names[i].name);
      return;
    }
  }
  if (starts_with(format, "d:")) {
    add(out, "decimal(%s)", format + 2);
  } else if (starts_with(format, "ts")) {
    const char unit = format[2];
    add(out, "timestamp[%s%s%s]", unit == 's' ? "s" : unit == 'm' ? "ms" : unit == 'u' ? "us" : "ns", format[4] != '\0' ? ", " : "", format + 4);
  } else if (strcmp(format, "+l") == 0) {
    add(out, "array<");
    add_type(out, type->children[0]);
    add(out, ">");
  } else if (strcmp(format, "+m") == 0) {
    add(out, "map<");
    add_type(out, type->children[0]->children[0]);
    add(out, ",");
    add_type(out, type->children[0]->children[1]);
    add(out, ">");
  } else if (strcmp(format, "+s") == 0) {
    add(out, "struct<");
    for (int64_t i = 0; i < type->n_children; i++) {
      add(out, "%s%s:", i > 0 ? "," : "", type->children[i]->name);
      add_type(out, type->children[i]);
    }
    add(out, ">");
  } else {
    add(out, "<%s>", format);
  }
}

static bool is_number(const struct ArrowSchema *type) { return strchr("csilfgd", type->format[0]) != NULL; }

/* The width of UTF-8 text on a terminal, taking one column for each character. */
static size_t width_of(const char *utf8) {
  size_t width = 0;
  for (; *utf8 != '\0'; utf8++) width += ((unsigned char)*utf8 & 0xc0) != 0x80;
  return width;
}

static void print_padded(const char *word, size_t width, bool right) {
  const int padding = (int)(width - width_of(word));
  printf("%*s%s%*s", right ? padding : 0, "", word, right ? 0 : padding, "");
}

static void print_schema(const struct ArrowSchema *schema) {
  size_t width = 0;
  for (int64_t i = 0; i < schema->n_children; i++) {
    const size_t name = width_of(schema->children[i]->name);
    if (name > width) width = name;
  }
  for (int64_t i = 0; i < schema->n_children; i++) {
    const struct ArrowSchema *column = schema->children[i];
    text type = {0};
    add_type(&type, column);
    print_padded(column->name, width, false);
    printf("  %s%s\n", type.bytes, (column->flags & ARROW_FLAG_NULLABLE) != 0 ? "" : " not null");
    free(type.bytes);
  }
}

/* --------------------------------------------------------------------------------------------------------------- the rows */

typedef struct {
  char **cells; /* rows x columns */
  size_t rows, columns, capacity;
} grid;

static void add_row(grid *rows, const struct ArrowSchema *schema, const struct ArrowArray *batch, int64_t row, size_t widest) {
  if ((rows->rows + 1) * rows->columns > rows->capacity) {
    rows->capacity = 2 * (rows->rows + 1) * rows->columns;
    rows->cells = or_die(realloc(rows->cells, rows->capacity * sizeof *rows->cells));
  }
  for (size_t i = 0; i < rows->columns; i++) {
    text cell = {0};
    add_bytes(&cell, "", 0);
    /* A batch is a struct array, whose offset applies to its columns too. */
    add_value(&cell, schema->children[i], batch->children[i], row + batch->offset, false);
    if (widest > 0 && width_of(cell.bytes) > widest) { /* cut before a character, never inside one */
      size_t end = 0;
      for (size_t width = 0; width < widest; width++) {
        do end++;
        while (((unsigned char)cell.bytes[end] & 0xc0) == 0x80);
      }
      cell.length = end;
      add_bytes(&cell, "...", 3);
    }
    rows->cells[rows->rows * rows->columns + i] = cell.bytes;
  }
  rows->rows++;
}

static void print_rows(const grid *rows, const struct ArrowSchema *schema) {
  size_t *widths = or_die(calloc(rows->columns + 1, sizeof *widths));
  for (size_t column = 0; column < rows->columns; column++) {
    widths[column] = width_of(schema->children[column]->name);
    for (size_t row = 0; row < rows->rows; row++) {
      const size_t width = width_of(rows->cells[row * rows->columns + column]);
      if (width > widths[column]) widths[column] = width;
    }
  }
  for (size_t column = 0; column < rows->columns; column++) {
    printf("%s", column > 0 ? " | " : "");
    print_padded(schema->children[column]->name, widths[column], is_number(schema->children[column]));
  }
  printf("\n");
  for (size_t column = 0; column < rows->columns; column++) {
    printf("%s", column > 0 ? "-+-" : "");
    for (size_t i = 0; i < widths[column]; i++) putchar('-');
  }
  printf("\n");
  for (size_t row = 0; row < rows->rows; row++) {
    for (size_t column = 0; column < rows->columns; column++) {
      printf("%s", column > 0 ? " | " : "");
      print_padded(rows->cells[row * rows->columns + column], widths[column], is_number(schema->children[column]));
    }
    printf("\n");
  }
  free(widths);
}

static void free_rows(grid *rows) {
  for (size_t i = 0; i < rows->rows * rows->columns; i++) free(rows->cells[i]);
  free(rows->cells);
}

/* ------------------------------------------------------------------------------------------------------------ the program */

typedef struct {
  const char *endpoint, *table, *columns, *filter;
  size_t rows, width;
} arguments;

/* What is open while a table is read; close_all frees it in any state, since freeing NULL does nothing. */
typedef struct {
  ms_options *options;
  ms_client *client;
  ms_session *session;
  ms_split *split;
  struct ArrowSchema schema;
  struct ArrowArray batch;
  grid rows;
} reading;

static void close_all(reading *state) {
  if (state->batch.release != NULL) state->batch.release(&state->batch);
  free_rows(&state->rows);
  if (state->schema.release != NULL) state->schema.release(&state->schema);
  ms_split_free(state->split);
  ms_session_free(state->session);
  ms_client_free(state->client);
  ms_options_free(state->options);
}

/* COLUMNS is a list separated by commas; a name at a time goes to the library. */
static ms_status add_columns(ms_options *options, const char *list, ms_error **err) {
  ms_status status = MS_OK;
  while (status == MS_OK && *list != '\0') {
    const size_t length = strcspn(list, ",");
    text name = {0};
    add_bytes(&name, list, length);
    if (length > 0) status = ms_options_add(options, MS_OPT_COLUMNS, name.bytes, err);
    free(name.bytes);
    list += length + (list[length] == ',');
  }
  return status;
}

/* Stops at the first call that fails and leaves its error in *err. */
#define TRY(call)                                  \
  do {                                             \
    const ms_status try_status = (call);           \
    if (try_status != MS_OK) return try_status;    \
  } while (0)

static ms_status read_table(const arguments *what, reading *state, ms_error **err) {
  state->options = or_die(ms_options_new());
  TRY(ms_options_load_environment(state->options, err));
  TRY(ms_options_set(state->options, MS_OPT_ENDPOINT, what->endpoint, err));
  TRY(ms_options_set(state->options, MS_OPT_TABLE, what->table, err));
  TRY(add_columns(state->options, what->columns, err));
  if (what->filter[0] != '\0') TRY(ms_options_set(state->options, MS_OPT_FILTER_TEXT, what->filter, err));
  TRY(ms_client_open(state->options, &state->client, err));
  TRY(ms_session_open(state->client, state->options, NULL, &state->session, err));
  TRY(ms_session_schema(state->session, &state->schema, err));
  print_schema(&state->schema);
  fflush(stdout); /* the reader sees the schema while the rows are on their way */

  state->rows.columns = (size_t)state->schema.n_children;
  const int64_t splits = ms_session_split_count(state->session);
  for (int64_t index = 0; index < splits && state->rows.rows < what->rows; index++) {
    TRY(ms_split_open(state->session, index, state->options, &state->split, err));
    while (state->rows.rows < what->rows) {
      TRY(ms_split_next_batch(state->split, &state->batch, err));
      if (state->batch.release == NULL) break; /* end of the split */
      for (int64_t row = 0; row < state->batch.length && state->rows.rows < what->rows; row++)
        add_row(&state->rows, &state->schema, &state->batch, row, what->width);
      state->batch.release(&state->batch);
    }
    ms_split_free(state->split);
    state->split = NULL;
  }
  printf("\n");
  if (state->rows.rows > 0) print_rows(&state->rows, &state->schema);
  printf("(%zu row%s)\n", state->rows.rows, state->rows.rows == 1 ? "" : "s");
  return MS_OK;
}

static const char usage[] =
    "usage: read_table [--rows N] [--width N] ENDPOINT PROJECT.SCHEMA.TABLE [COLUMNS] [FILTER]\n"
    "\n"
    "  COLUMNS    names separated by commas; '' or nothing: all columns\n"
    "  FILTER     a condition, for example \"`id` > 10\"; the service may deliver more rows than match\n"
    "  --rows N   rows to print (20)\n"
    "  --width N  characters of a value to print, 0 for all (48)\n"
    "\n"
    "Credentials are read from ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET.\n";

static bool parse(int argc, char **argv, arguments *out) {
  const char **positional[] = {&out->endpoint, &out->table, &out->columns, &out->filter};
  size_t count = 0;
  *out = (arguments){.columns = "", .filter = "", .rows = 20, .width = 48};
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--rows") == 0 || strcmp(argv[i], "--width") == 0) {
      char *end = NULL;
      if (i + 1 == argc) return false;
      const unsigned long number = strtoul(argv[i + 1], &end, 10);
      if (end == argv[i + 1] || *end != '\0' || number > 1000000) return false;
      *(argv[i][2] == 'r' ? &out->rows : &out->width) = number;
      i++;
    } else if (starts_with(argv[i], "--") || count == sizeof positional / sizeof positional[0]) {
      return false;
    } else {
      *positional[count++] = argv[i];
    }
  }
  return count >= 2;
}

int main(int argc, char **argv) {
  arguments what;
  if (!parse(argc, argv, &what)) {
    fputs(usage, stderr);
    return 2;
  }
  reading state = {0};
  ms_error *err = NULL;
  const ms_status status = read_table(&what, &state, &err);
  if (status != MS_OK) {
    fflush(stdout);
    const char *request_id = ms_error_request_id(err);
    fprintf(stderr, "read_table: %s: %s%s%s%s\n", ms_status_name(status), ms_error_message(err),
            request_id[0] != '\0' ? " (request id " : "", request_id, request_id[0] != '\0' ? ")" : "");
  }
  ms_error_free(err);
  close_all(&state);
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fputs("read_table: the rows cannot be written to stdout\n", stderr);
    return EXIT_FAILURE;
  }
  return status == MS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
