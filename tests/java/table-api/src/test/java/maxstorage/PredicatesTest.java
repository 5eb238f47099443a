package maxstorage;

import static com.aliyun.odps.table.optimizer.predicate.BinaryPredicate.greaterThan;
import static com.aliyun.odps.table.optimizer.predicate.BinaryPredicate.greaterThanOrEqual;
import static com.aliyun.odps.table.optimizer.predicate.BinaryPredicate.lessThan;
import static com.aliyun.odps.table.optimizer.predicate.BinaryPredicate.lessThanOrEqual;
import static com.aliyun.odps.table.optimizer.predicate.BinaryPredicate.notEquals;
import static com.aliyun.odps.table.optimizer.predicate.CompoundPredicate.and;
import static com.aliyun.odps.table.optimizer.predicate.CompoundPredicate.not;
import static com.aliyun.odps.table.optimizer.predicate.CompoundPredicate.or;
import static com.aliyun.odps.table.optimizer.predicate.InPredicate.in;
import static com.aliyun.odps.table.optimizer.predicate.InPredicate.notIn;
import static com.aliyun.odps.table.optimizer.predicate.UnaryPredicate.isNull;
import static com.aliyun.odps.table.optimizer.predicate.UnaryPredicate.notNull;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.data.Binary;
import com.aliyun.odps.table.configuration.SplitOptions;
import com.aliyun.odps.table.optimizer.predicate.Attribute;
import com.aliyun.odps.table.optimizer.predicate.BinaryPredicate;
import com.aliyun.odps.table.optimizer.predicate.Constant;
import com.aliyun.odps.table.optimizer.predicate.Predicate;
import com.aliyun.odps.table.optimizer.predicate.RawPredicate;
import com.aliyun.odps.table.read.TableBatchReadSession;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Timestamp;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Every predicate that the client can build, over every type it has constants of. The table `ramp` has 4000 rows in eight blocks; the
 * values of a column grow with the row number, and every seventh row is NULL. What must be true of a row is computed here from its
 * number, without the service: whatever the service skips, no row that must be there may be missing.
 */
class PredicatesTest {
  private static final int ROWS = 4000;

  /** A column, with the constants of the rows 1000, 2000 and 3000, which are not NULL. */
  record Scalar(String column, Object low, Object middle, Object high) {
    @Override
    public String toString() {
      return column + " as " + middle.getClass().getSimpleName();
    }
  }

  static final List<Scalar> SCALARS =
      List.of(
          new Scalar("id", 1000L, 2000L, 3000L),
          new Scalar("c_smallint", (short) -16000, (short) 0, (short) 16000),
          new Scalar("c_int", -1000000000, 0, 1000000000),
          new Scalar("c_bigint", -1000000000000000000L, 0L, 1000000000000000000L),
          new Scalar("c_float", -125f, 0f, 125f),
          new Scalar("c_double", -1000 * 0x1p1000, 0.0, 1000 * 0x1p1000),
          new Scalar("c_string", "it's 1000", "it's 2000", "it's 3000"),
          new Scalar("c_varchar", "v1000", "v2000", "v3000"),
          new Scalar("c_char", "c1000", "c2000", "c3000"),
          new Scalar("c_binary", binary(1000), binary(2000), binary(3000)),
          new Scalar("c_decimal", new BigDecimal("-250"), new BigDecimal("0"), new BigDecimal("250.00")),
          new Scalar("c_date", date(1000), date(2000), date(3000)),
          new Scalar("c_datetime", zoned(1000), zoned(2000), zoned(3000)),
          new Scalar("c_datetime", java.util.Date.from(zoned(1000).toInstant()), java.util.Date.from(zoned(2000).toInstant()),
              java.util.Date.from(zoned(3000).toInstant())),
          new Scalar("c_timestamp", instant(1000), instant(2000), instant(3000)),
          new Scalar("c_timestamp", Timestamp.from(instant(1000)), Timestamp.from(instant(2000)), Timestamp.from(instant(3000))),
          new Scalar("c_timestamp_ntz", local(1000), local(2000), local(3000)));

  private static Binary binary(int row) {
    return new Binary(new byte[] {0, 0, (byte) (row >> 8), (byte) row});
  }

  private static LocalDate date(int row) {
    return LocalDate.ofEpochDay(row * 100 - 200000);
  }

  private static ZonedDateTime zoned(int row) {
    return Instant.ofEpochMilli((row - 2000) * 86400000L * 30).atZone(ZoneOffset.UTC);
  }

  private static Instant instant(int row) {
    return Instant.ofEpochSecond(0, (row - 2000) * 1_000_000_000_000_000L + row * 1000);
  }

  private static LocalDateTime local(int row) {
    return LocalDateTime.ofInstant(instant(row), ZoneOffset.UTC);
  }

  /** The client calls it `equals`, which hides behind the method of every object. */
  private static Predicate equal(Predicate left, Predicate right) {
    return BinaryPredicate.equals(left, right);
  }

  private static boolean isNullIn(int row) {
    return row % 7 == 3;
  }

  /**
   * Reads with a predicate. Every row of which `must` is true has to be there; `id` says which row is which. Returns how many rows
   * came.
   */
  private static int check(Predicate predicate, String column, IntPredicate must) throws IOException {
    TableBatchReadSession session =
        Clients.reading("ramp")
            .requiredDataColumns(column.equals("id") ? List.of("id") : List.of("id", column))
            .withSplitOptions(SplitOptions.newBuilder().SplitByParallelism(2).build())
            .withFilterPredicate(predicate)
            .buildBatchReadSession();
    List<Map<String, Object>> rows = Rows.of(session);
    Set<Integer> delivered = rows.stream().map(row -> ((Long) row.get("id")).intValue()).collect(Collectors.toSet());
    assertEquals(rows.size(), delivered.size(), () -> "a row came twice under " + predicate);
    List<Integer> expected = IntStream.range(0, ROWS).filter(must).boxed().toList();
    List<Integer> refiltered = new ArrayList<>(delivered.stream().filter(must::test).sorted().toList());
    assertEquals(expected, refiltered, () -> "under " + predicate);
    return rows.size();
  }

  /** The blocks that can hold a row were delivered, and at most one more: statistics may be rounded where kinds of numbers meet. */
  private static void assertBlocks(int needed, int delivered) {
    assertTrue(needed <= delivered && delivered <= needed + 500, delivered + " rows came where " + needed + " were needed");
  }

  @ParameterizedTest
  @FieldSource("SCALARS")
  void comparisons(Scalar scalar) throws Exception {
    String column = scalar.column();
    IntPredicate there = row -> column.equals("id") || !isNullIn(row);
    Attribute name = Attribute.of(column);
    Constant low = Constant.of(scalar.low());
    Constant middle = Constant.of(scalar.middle());
    Constant high = Constant.of(scalar.high());

    assertBlocks(500, check(equal(name, middle), column, row -> row == 2000)); // the one block that can hold the value
    check(notEquals(name, middle), column, row -> there.test(row) && row != 2000);
    assertBlocks(2000, check(greaterThanOrEqual(name, middle), column, row -> there.test(row) && row >= 2000));
    assertBlocks(2000, check(greaterThan(name, middle), column, row -> there.test(row) && row > 2000));
    assertBlocks(2000, check(lessThan(name, middle), column, row -> there.test(row) && row < 2000));
    assertBlocks(2500, check(lessThanOrEqual(name, middle), column, row -> there.test(row) && row <= 2000));
    assertBlocks(2500, check(greaterThanOrEqual(middle, name), column, row -> there.test(row) && row <= 2000)); // sides swapped
    assertBlocks(1000, check(in(name, List.of(low, high)), column, row -> row == 1000 || row == 3000));
    check(notIn(name, List.of(low, high)), column, row -> there.test(row) && row != 1000 && row != 3000);
    assertBlocks(1000, check(and(greaterThan(name, low), lessThan(name, middle)), column, row -> there.test(row) && row > 1000 && row < 2000));
    assertBlocks(2000, check(or(lessThan(name, low), greaterThan(name, high)), column, row -> there.test(row) && (row < 1000 || row > 3000)));
    check(not(equal(name, middle)), column, row -> there.test(row) && row != 2000);
    assertBlocks(1000, check(not(greaterThanOrEqual(name, low)), column, row -> there.test(row) && row < 1000));
    check(isNull(name), column, row -> !there.test(row));
    check(notNull(name), column, there);
    check(
        and(or(lessThan(name, low), isNull(name)), not(in(name, List.of(low)))), column, row -> there.test(row) && row < 1000);
  }

  @Test
  void tinyint() throws Exception {
    // Sixteen rows share a value; row 2000 has 0.
    check(equal(Attribute.of("c_tinyint"), Constant.of((byte) 0)), "c_tinyint", row -> row / 16 == 125 && !isNullIn(row));
    check(lessThan(Attribute.of("c_tinyint"), Constant.of((byte) -100)), "c_tinyint", row -> row / 16 < 25 && !isNullIn(row));
  }

  @Test
  void booleans() throws Exception {
    assertBlocks(2000, check(equal(Attribute.of("c_boolean"), Constant.of(true)), "c_boolean", row -> row >= 2000 && !isNullIn(row)));
    assertBlocks(2000, check(notEquals(Attribute.of("c_boolean"), Constant.of(true)), "c_boolean", row -> row < 2000 && !isNullIn(row)));
    assertBlocks(2000, check(new RawPredicate("c_boolean"), "c_boolean", row -> row >= 2000 && !isNullIn(row)));
  }

  @Test
  void columnsAgainstColumns() throws Exception {
    check(
        greaterThan(Attribute.of("id"), Attribute.of("c_smallint")),
        "c_smallint",
        row -> !isNullIn(row) && row > row * 16 - 32000);
  }

  @Test
  void constantsThatAreNull() throws Exception {
    check(equal(Attribute.of("c_int"), Constant.of(null)), "c_int", row -> false);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "id between 1000 and 1999",
        "id >= 1000 AND id < 2000",
        "not (id < 1000 or id >= 2000)",
        "1000 <= id and 2000 > id",
        "(((id >= 1000)) and ((id <= 1999)))",
      })
  void textOfOnesOwn(String text) throws Exception {
    assertBlocks(1000, check(new RawPredicate(text), "c_string", row -> row >= 1000 && row < 2000));
  }

  @Test
  void noPredicateIsTheWholeTable() throws Exception {
    assertBlocks(ROWS, check(Predicate.NO_PREDICATE, "c_int", row -> true));
    assertBlocks(ROWS, check(and(), "c_int", row -> true));
  }

  @Test
  void partitionColumns() throws Exception {
    for (Predicate predicate :
        List.of(
            equal(Attribute.of("ds"), Constant.of("20260101")),
            in(Attribute.of("ds"), List.of(Constant.of("20260101"), Constant.of("20270101"))),
            and(lessThan(Attribute.of("ds"), Constant.of("20260102")), lessThan(Attribute.of("id"), Constant.of(5000L))))) {
      TableBatchReadSession session =
          Clients.reading("parted").withSplitOptions(SplitOptions.createDefault()).withFilterPredicate(predicate).buildBatchReadSession();
      List<Map<String, Object>> rows = Rows.of(session);
      assertEquals(2000, rows.size(), predicate.toString());
      rows.forEach(row -> assertEquals("20260101", new String((byte[]) row.get("ds"), StandardCharsets.UTF_8)));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"id >", "id = 'open", "id = 1 and", "id ~ 1", "`id = 1", "nothing = 1", "id in (1, 2"})
  void brokenTextIsRefusedWithItsPlace(String text) {
    IOException refusal =
        assertThrows(
            IOException.class,
            () ->
                Clients.reading("ramp")
                    .withSplitOptions(SplitOptions.createDefault())
                    .withFilterPredicate(new RawPredicate(text))
                    .buildBatchReadSession());
    String message = Failures.check(refusal, 400, "InvalidArgument").getMessage();
    assertTrue(message.contains("position") || message.contains("column") || message.contains("character"), message);
  }
}
