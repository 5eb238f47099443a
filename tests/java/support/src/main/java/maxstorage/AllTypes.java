package maxstorage;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.aliyun.odps.data.Binary;
import com.aliyun.odps.data.Char;
import com.aliyun.odps.data.Struct;
import com.aliyun.odps.data.Varchar;
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

/** What the table `all_types` holds: every type of the product page's table that the client's records know. */
public final class AllTypes {
  /** The values of the four rows by column: ordinary, extreme, NULL, edge. tests/pyodps/tables.py puts them there. */
  public static final Map<String, Object[]> VALUES = values();

  private AllTypes() {}

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

  public static void assertRow(int index, Map<String, Object> row) {
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
  public static Object plain(Object value) {
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
      return struct.getFieldValues().stream().map(AllTypes::nested).collect(Collectors.toList());
    } else if (value instanceof List<?> list) {
      return list.stream().map(AllTypes::nested).collect(Collectors.toList());
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
}
