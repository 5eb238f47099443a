package maxstorage;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.aliyun.odps.PartitionSpec;
import com.aliyun.odps.table.configuration.SplitOptions;
import com.aliyun.odps.table.read.TableBatchReadSession;
import com.aliyun.odps.table.read.TableReadSessionBuilder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which columns and which partitions a session delivers. */
class ColumnsAndPartitionsTest {
  private static TableReadSessionBuilder parted() {
    return Clients.reading("parted").withSplitOptions(SplitOptions.createDefault());
  }

  @Test
  void columnsInTheOrderThatWasAsked() throws Exception {
    List<String> columns = List.of("l_comment", "l_orderkey", "l_shipdate", "l_discount");
    TableBatchReadSession session =
        Clients.reading("lineitem").requiredDataColumns(columns).withSplitOptions(SplitOptions.createDefault()).buildBatchReadSession();
    assertEquals(columns, session.readSchema().getColumnNames());
    List<List<String>> arrived =
        Rows.arrow(
            session,
            Rows.splits(session).get(0),
            Rows.options(),
            batch -> batch.getSchema().getFields().stream().map(field -> field.getName()).toList());
    assertEquals(columns, arrived.get(0));
  }

  @Test
  void allColumnsEndWithThePartition() throws Exception {
    TableBatchReadSession session = parted().buildBatchReadSession();
    assertEquals(List.of("id", "note", "ds", "region"), session.readSchema().getColumnNames());
    assertEquals(List.of("ds", "region"), session.readSchema().getPartitionKeys());
    for (Map<String, Object> row : Rows.of(session)) {
      assertEquals(text(row.get("note")), text(row.get("ds")) + "/" + text(row.get("region")));
    }
  }

  @Test
  void oneKeyOfThePartition() throws Exception {
    TableBatchReadSession session =
        parted().requiredDataColumns(List.of("note")).requiredPartitionColumns(List.of("region")).buildBatchReadSession();
    assertEquals(List.of("note", "region"), session.readSchema().getColumnNames());
    for (Map<String, Object> row : Rows.of(session)) {
      assertEquals(text(row.get("note")).substring("20260101/".length()), text(row.get("region")));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"ds=20260101,region=eu", "ds='20260101',region='eu'", "ds=20260101/region=eu"})
  void onePartition(String spec) throws Exception {
    List<Map<String, Object>> rows = Rows.of(parted().requiredPartitions(List.of(new PartitionSpec(spec))).buildBatchReadSession());
    assertEquals(LongStream.range(0, 1000).<Object>mapToObj(id -> id).toList(), Rows.column(rows, "id"));
    rows.forEach(row -> assertEquals("20260101/eu", text(row.get("note"))));
  }

  @Test
  void severalPartitionsAndAPrefix() throws Exception {
    List<PartitionSpec> two = List.of(new PartitionSpec("ds=20260101,region=us"), new PartitionSpec("ds=20260102,region=eu"));
    assertEquals(3000, Rows.of(parted().requiredPartitions(two).buildBatchReadSession()).size());
    List<PartitionSpec> prefix = List.of(new PartitionSpec("ds=20260101"));
    assertEquals(2000, Rows.of(parted().requiredPartitions(prefix).buildBatchReadSession()).size());
  }

  @Test
  void partitionsWithATypedKey() throws Exception {
    TableBatchReadSession session =
        Clients.reading("orders_by_year")
            .requiredDataColumns(List.of("o_orderdate"))
            .requiredPartitionColumns(List.of("o_orderyear"))
            .requiredPartitions(List.of(new PartitionSpec("o_orderyear=1995")))
            .withSplitOptions(SplitOptions.createDefault())
            .buildBatchReadSession();
    List<Map<String, Object>> rows = Rows.of(session);
    assertEquals(true, rows.size() > 2000);
    for (Map<String, Object> row : rows) {
      assertEquals(1995, row.get("o_orderyear"));
      assertEquals(1995, ((java.time.LocalDate) row.get("o_orderdate")).getYear());
    }
  }

  private static String text(Object bytes) {
    return new String((byte[]) bytes, StandardCharsets.UTF_8);
  }
}
