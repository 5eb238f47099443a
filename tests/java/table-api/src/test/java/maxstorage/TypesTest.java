package maxstorage;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import com.aliyun.odps.data.Binary;
import com.aliyun.odps.data.Char;
import com.aliyun.odps.data.Struct;
import com.aliyun.odps.data.Varchar;
import com.aliyun.odps.table.configuration.ArrowOptions;
import com.aliyun.odps.table.configuration.SplitOptions;
import com.aliyun.odps.table.read.TableBatchReadSession;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.arrow.vector.IntervalDayVector;
import org.apache.arrow.vector.IntervalYearVector;
import org.apache.arrow.vector.types.pojo.Field;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Every type of the product page's table: what the service says of it, which Arrow type arrives, and each value. */
class TypesTest {
  /** The client's records know no intervals; they are read as Arrow below. */
  private static final List<String> INTERVALS = List.of("c_months", "c_day_time");

  /** The values of the four rows by column: ordinary, extreme, NULL, edge. tests/pyodps/tables.py puts them there. */
  private static final Map<String, Object[]> VALUES = values();

  private static Map<String, Object[]> values() {
    Map<String, Object[]> of = new LinkedHashMap<>();
    of.put("c_tinyint", row((byte) 1, Byte.MIN_VALUE, Byte.MAX_VALUE));
    of.put("c_smallint", row((short) 1, Short.MIN_VALUE, Short.MAX_VALUE));
    of.put("c_int", row(1, Integer.MIN_VALUE, Integer.MAX_VALUE));
    of.put("c_bigint", row(1L, Long.MIN_VALUE + 1, Long.MAX_VALUE));
    of.put("c_float", row(1.5f, Float.NEGATIVE_INFINITY, Float.NaN));
    of.put("c_double", row(0.1, -Double.MAX_VALUE, Double.NaN));
    of.put("c_boolean", row(true, false, true));
    of.put("c_string", row("plain", "", "Größe 数据 🦀"));
    of.put("c_varchar", row("v", "", "exactly twenty chars"));
    of.put("c_char", row("ab  ", "    ", "abcd"));
    byte[] all = new byte[256];
    for (int value = 0; value < 256; value++) {
      all[value] = (byte) value;
    }
    of.put("c_binary", row(new byte[] {0, (byte) 0xff}, new byte[0], all));
    of.put("c_decimal", row(new BigDecimal("1.23"), new BigDecimal("-9999999999999.99"), new BigDecimal("0.00")));
    String nines = "9".repeat(38);
    of.put("c_decimal38", row(new BigDecimal("1"), new BigDecimal("-" + nines), new BigDecimal(nines)));
    of.put(
        "c_plain_decimal",
        row(new BigDecimal("1.500000000000000000"), new BigDecimal("-99999999999999999999.999999999999999999"), new BigDecimal("0E-18")));
    of.put("c_date", row(LocalDate.of(1970, 1, 1), LocalDate.of(1, 1, 1), LocalDate.of(9999, 12, 31)));
    of.put(
        "c_datetime",
        row(utc("1970-01-01T00:00:00"), utc("0001-01-01T00:00:00"), utc("9999-12-31T23:59:59.999")));
    of.put(
        "c_timestamp",
        row(Instant.EPOCH, Instant.parse("1969-12-31T23:59:59.999999999Z"), Instant.parse("2116-02-20T23:53:38.427387904Z")));
    of.put(
        "c_timestamp_ntz",
        row(
            LocalDateTime.parse("1970-01-01T00:00:00.000000001"),
            LocalDateTime.parse("1823-11-12T00:06:21.572612096"),
            LocalDateTime.parse("1970-01-01T00:00:00.999999999")));
    of.put("c_array", row(Arrays.asList(1, null, 3), List.of(), List.of(7)));
    Map<String, Long> map = new HashMap<>();
    map.put("a", 1L);
    map.put("b", null);
    of.put("c_map", row(map, Map.of(), Map.of("", 2L)));
    of.put("c_struct", row(Arrays.asList(1, "x"), Arrays.asList(null, null), Arrays.asList(2, "")));
    Map<String, List<Long>> inner = new HashMap<>();
    inner.put("p", Arrays.asList(1L, null));
    inner.put("q", List.of());
    of.put("c_deep", row(Arrays.asList(Arrays.asList("x", inner), null), List.of(), List.of(Arrays.asList(null, null))));
    return of;
  }

  private static Object[] row(Object ordinary, Object extreme, Object edge) {
    return new Object[] {ordinary, extreme, null, edge};
  }

  private static Instant utc(String text) {
    return LocalDateTime.parse(text).toInstant(ZoneOffset.UTC);
  }

  static TableBatchReadSession session(String table) throws Exception {
    return Clients.reading(table)
        .requiredDataColumns(List.copyOf(VALUES.keySet()))
        .withSplitOptions(SplitOptions.createDefault())
        .buildBatchReadSession();
  }

  static void assertRow(int index, Map<String, Object> row) {
    assertEquals(VALUES.keySet(), row.keySet());
    VALUES.forEach((name, values) -> assertValue(name, values[index], row.get(name)));
  }

  private static void assertValue(String name, Object expected, Object value) {
    Object plain = plain(value);
    if (expected instanceof byte[] bytes) {
      assertArrayEquals(bytes, (byte[]) plain, name);
    } else {
      assertEquals(plain(expected), plain instanceof byte[] bytes ? new String(bytes, StandardCharsets.UTF_8) : plain, name);
    }
  }

  /** The client's own classes as those of the JDK: a struct is the list of its fields. */
  static Object plain(Object value) {
    if (value instanceof Varchar text) {
      return text.getValue();
    } else if (value instanceof Char text) {
      return text.getValue();
    } else if (value instanceof Binary binary) {
      return binary.data();
    } else if (value instanceof BigDecimal number) {
      return number.stripTrailingZeros(); // the client does so already for decimals of scale 18
    } else if (value instanceof ZonedDateTime time) {
      return time.toInstant();
    } else if (value instanceof Struct struct) {
      return struct.getFieldValues().stream().map(TypesTest::nested).collect(Collectors.toList());
    } else if (value instanceof List<?> list) {
      return list.stream().map(TypesTest::nested).collect(Collectors.toList());
    } else if (value instanceof Map<?, ?> map) {
      Map<Object, Object> copy = new HashMap<>();
      map.forEach((key, item) -> copy.put(nested(key), nested(item)));
      return copy;
    }
    return value;
  }

  /** Inside of arrays, maps and structs strings are compared as strings. */
  private static Object nested(Object value) {
    Object plain = plain(value);
    return plain instanceof byte[] bytes ? new String(bytes, StandardCharsets.UTF_8) : plain;
  }

  @Test
  void everyValueArrives() throws Exception {
    List<Map<String, Object>> rows = Rows.of(session("all_types"));
    assertEquals(4, rows.size());
    for (int index = 0; index < 4; index++) {
      assertRow(index, rows.get(index));
    }
    VALUES.keySet().forEach(name -> assertNull(rows.get(2).get(name), name));
  }

  @Test
  void theSchemaNamesTheTypes() throws Exception {
    TableBatchReadSession session =
        Clients.reading("all_types").withSplitOptions(SplitOptions.createDefault()).buildBatchReadSession();
    String types =
        session.readSchema().getColumns().stream().map(column -> column.getTypeInfo().getTypeName()).collect(Collectors.joining(" "));
    assertEquals(
        "TINYINT SMALLINT INT BIGINT FLOAT DOUBLE BOOLEAN STRING VARCHAR(20) CHAR(4) BINARY DECIMAL(15,2) DECIMAL(38,0) DECIMAL DATE"
            + " DATETIME TIMESTAMP TIMESTAMP_NTZ INTERVAL_YEAR_MONTH INTERVAL_DAY_TIME ARRAY<INT> MAP<STRING,BIGINT>"
            + " STRUCT<a:INT,b:STRING> ARRAY<STRUCT<k:STRING,m:MAP<STRING,ARRAY<BIGINT>>>>",
        types);
  }

  @Test
  void theArrowTypesAreThoseOfTheProductPage() throws Exception {
    TableBatchReadSession session =
        Clients.reading("all_types").withSplitOptions(SplitOptions.createDefault()).buildBatchReadSession();
    Map<String, String> types = new LinkedHashMap<>();
    Rows.arrow(
        session,
        Rows.splits(session).get(0),
        Rows.options(),
        batch -> {
          for (Field field : batch.getSchema().getFields()) {
            types.put(field.getName(), field.getType().toString());
          }
          return null;
        });
    Map<String, String> listed = new LinkedHashMap<>();
    listed.put("c_tinyint", "Int(8, true)");
    listed.put("c_smallint", "Int(16, true)");
    listed.put("c_int", "Int(32, true)");
    listed.put("c_bigint", "Int(64, true)");
    listed.put("c_float", "FloatingPoint(SINGLE)");
    listed.put("c_double", "FloatingPoint(DOUBLE)");
    listed.put("c_boolean", "Bool");
    listed.put("c_string", "Utf8");
    listed.put("c_varchar", "Utf8");
    listed.put("c_char", "Utf8");
    listed.put("c_binary", "Binary");
    listed.put("c_decimal", "Decimal(15, 2, 128)");
    listed.put("c_decimal38", "Decimal(38, 0, 128)");
    listed.put("c_plain_decimal", "Decimal(38, 18, 128)");
    listed.put("c_date", "Date(DAY)");
    listed.put("c_datetime", "Timestamp(MILLISECOND, UTC)");
    listed.put("c_timestamp", "Timestamp(NANOSECOND, UTC)");
    listed.put("c_timestamp_ntz", "Timestamp(NANOSECOND, null)");
    listed.put("c_months", "Interval(YEAR_MONTH)");
    listed.put("c_day_time", "Interval(DAY_TIME)");
    listed.put("c_array", "List");
    listed.put("c_map", "Map(false)");
    listed.put("c_struct", "Struct");
    listed.put("c_deep", "List");
    assertEquals(listed, types);
  }

  @Test
  void intervalsArriveAsArrow() throws Exception {
    TableBatchReadSession session =
        Clients.reading("all_types").requiredDataColumns(INTERVALS).withSplitOptions(SplitOptions.createDefault()).buildBatchReadSession();
    Rows.arrow(
        session,
        Rows.splits(session).get(0),
        Rows.options(),
        batch -> {
          IntervalYearVector months = (IntervalYearVector) batch.getVector("c_months");
          IntervalDayVector times = (IntervalDayVector) batch.getVector("c_day_time");
          long[] expectedMonths = {14, -1, 0, 0};
          long[] expectedMillis = {90061007, -1, 0, 0};
          for (int row = 0; row < 4; row++) {
            assertEquals(row == 2, months.isNull(row));
            assertEquals(row == 2, times.isNull(row));
            if (row != 2) {
              assertEquals(expectedMonths[row], months.get(row));
              long millis =
                  IntervalDayVector.getDays(times.getDataBuffer(), row) * 86400000L
                      + IntervalDayVector.getMilliseconds(times.getDataBuffer(), row);
              assertEquals(expectedMillis[row], millis);
            }
          }
          return null;
        });
  }

  @ParameterizedTest
  @EnumSource(ArrowOptions.TimestampUnit.class)
  void instantsInEveryUnit(ArrowOptions.TimestampUnit unit) throws Exception {
    TableBatchReadSession session =
        Clients.reading("all_types")
            .requiredDataColumns(List.of("c_timestamp", "c_timestamp_ntz", "c_datetime"))
            .withSplitOptions(SplitOptions.createDefault())
            .withArrowOptions(ArrowOptions.newBuilder().withTimestampUnit(unit).withDatetimeUnit(unit).build())
            .buildBatchReadSession();
    List<Map<String, Object>> rows = Rows.of(session);
    long nanos = Map.of("second", 1_000_000_000L, "milli", 1_000_000L, "micro", 1000L, "nano", 1L).get(unit.toString());
    for (int row : new int[] {0, 1, 3}) {
      Instant timestamp = (Instant) VALUES.get("c_timestamp")[row];
      assertEquals(floor(timestamp, nanos), rows.get(row).get("c_timestamp"));
      Instant wall = ((LocalDateTime) VALUES.get("c_timestamp_ntz")[row]).toInstant(ZoneOffset.UTC);
      assertEquals(floor(wall, nanos), ((LocalDateTime) rows.get(row).get("c_timestamp_ntz")).toInstant(ZoneOffset.UTC));
    }
    // A DATETIME may lie outside of what nanoseconds can say; then the nearest instant inside arrives.
    Instant first = (Instant) plain(rows.get(0).get("c_datetime"));
    assertEquals(Instant.EPOCH, first);
    Instant last = (Instant) plain(rows.get(3).get("c_datetime"));
    Instant exact = (Instant) VALUES.get("c_datetime")[3];
    assertEquals(nanos == 1 ? Instant.ofEpochSecond(0, Long.MAX_VALUE) : floor(exact, nanos), last);
  }

  private static Instant floor(Instant instant, long nanos) {
    return instant.minusNanos(Math.floorMod((long) instant.getNano(), nanos));
  }
}
