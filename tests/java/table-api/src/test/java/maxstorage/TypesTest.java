package maxstorage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import com.aliyun.odps.table.configuration.ArrowOptions;
import com.aliyun.odps.table.configuration.SplitOptions;
import com.aliyun.odps.table.read.TableBatchReadSession;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
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

  static TableBatchReadSession session(String table) throws Exception {
    return Clients.reading(table)
        .requiredDataColumns(List.copyOf(AllTypes.VALUES.keySet()))
        .withSplitOptions(SplitOptions.createDefault())
        .buildBatchReadSession();
  }

  @Test
  void everyValueArrives() throws Exception {
    List<Map<String, Object>> rows = Rows.of(session("all_types"));
    assertEquals(4, rows.size());
    for (int index = 0; index < 4; index++) {
      AllTypes.assertRow(index, rows.get(index));
    }
    AllTypes.VALUES.keySet().forEach(name -> assertNull(rows.get(2).get(name), name));
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
      Instant timestamp = (Instant) AllTypes.VALUES.get("c_timestamp")[row];
      assertEquals(floor(timestamp, nanos), rows.get(row).get("c_timestamp"));
      Instant wall = ((LocalDateTime) AllTypes.VALUES.get("c_timestamp_ntz")[row]).toInstant(ZoneOffset.UTC);
      assertEquals(floor(wall, nanos), ((LocalDateTime) rows.get(row).get("c_timestamp_ntz")).toInstant(ZoneOffset.UTC));
    }
    // A DATETIME may lie outside of what nanoseconds can say; then the nearest instant inside arrives.
    Instant first = (Instant) AllTypes.plain(rows.get(0).get("c_datetime"));
    assertEquals(Instant.EPOCH, first);
    Instant last = (Instant) AllTypes.plain(rows.get(3).get("c_datetime"));
    Instant exact = (Instant) AllTypes.VALUES.get("c_datetime")[3];
    assertEquals(nanos == 1 ? Instant.ofEpochSecond(0, Long.MAX_VALUE) : floor(exact, nanos), last);
  }

  private static Instant floor(Instant instant, long nanos) {
    return instant.minusNanos(Math.floorMod((long) instant.getNano(), nanos));
  }
}
