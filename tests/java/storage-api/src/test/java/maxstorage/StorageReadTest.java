package maxstorage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.PartitionSpec;
import com.aliyun.odps.storage.MaxStorageClient;
import com.aliyun.odps.storage.ServiceException;
import com.aliyun.odps.storage.models.SplitMode;
import com.aliyun.odps.storage.read.TableReadSession;
import com.aliyun.odps.storage.read.TableReadSessionBuilder;
import com.aliyun.odps.storage.settings.SplitOptions;
import com.aliyun.odps.table.arrow.ArrowReader;
import com.aliyun.odps.table.read.split.InputSplit;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.apache.arrow.vector.types.pojo.Field;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Table reads and previews of the client of the next generation. */
@Execution(ExecutionMode.SAME_THREAD)
class StorageReadTest {
  private MaxStorageClient client;

  @BeforeEach
  void open() {
    client = Clients.client();
  }

  @AfterEach
  void close() {
    client.close();
  }

  private TableReadSessionBuilder reading(String table) {
    return client.createTableReadSessionBuilder(Clients.table(table));
  }

  private static List<Map<String, Object>> rows(TableReadSession session) throws Exception {
    List<Map<String, Object>> rows = new ArrayList<>();
    for (InputSplit split : session.getSplits()) {
      rows.addAll(Clients.rows(session.createReaderBuilder(split).build()));
    }
    return rows;
  }

  private static List<Object> ids(List<Map<String, Object>> rows) {
    return rows.stream().map(row -> row.get("id")).toList();
  }

  private static List<Object> range(long from, long to) {
    return LongStream.range(from, to).<Object>mapToObj(id -> id).toList();
  }

  @Test
  void everyValueArrives() throws Exception {
    try (TableReadSession session = reading("all_types").withColumns(List.copyOf(AllTypes.VALUES.keySet())).build()) {
      List<Map<String, Object>> rows = rows(session);
      assertEquals(4, rows.size());
      for (int row = 0; row < 4; row++) {
        AllTypes.assertRow(row, rows.get(row));
      }
    }
  }

  @Test
  void theSchemaOfTheSessionIsThatOfTheStream() throws Exception {
    try (TableReadSession session = reading("all_types").withColumns(List.copyOf(AllTypes.VALUES.keySet())).build();
        ArrowReader reader = session.createReaderBuilder(session.getSplits().get(0)).build()) {
      assertTrue(reader.nextBatch());
      assertEquals(names(session.getArrowSchema().getFields()), names(reader.getSchema().getFields()));
      assertEquals(List.copyOf(AllTypes.VALUES.keySet()), names(reader.getSchema().getFields()));
      assertEquals(4, reader.getCurrentValue().getRowCount());
      assertFalse(reader.nextBatch());
    }
  }

  private static List<String> names(List<Field> fields) {
    return fields.stream().map(Field::getName).toList();
  }

  @Test
  void sizeMode() throws Exception {
    SplitOptions options = SplitOptions.newBuilder().withSplitMode(SplitMode.SIZE).withSplitSize(16 << 20).build();
    try (TableReadSession session = reading("ramp").withSplitOptions(options).build()) {
      assertEquals(range(0, 4000), ids(rows(session)));
    }
  }

  @Test
  void rowOffsetMode() throws Exception {
    SplitOptions options = SplitOptions.newBuilder().withSplitMode(SplitMode.ROW_OFFSET).withSplitRowCount(1500).build();
    try (TableReadSession session = reading("ramp").withSplitOptions(options).build()) {
      assertEquals(3, session.getSplits().size());
      assertEquals(range(1500, 3000), ids(Clients.rows(session.createReaderBuilder(session.getSplits().get(1)).build())));
      assertEquals(range(0, 4000), ids(rows(session)));
    }
  }

  @Test
  void aSessionIsTakenUpById() throws Exception {
    try (TableReadSession session = reading("ramp").build();
        TableReadSession again = reading("ramp").withSessionId(session.getId()).build()) {
      assertEquals(session.getId(), again.getId());
      assertEquals(range(0, 4000), ids(rows(again)));
    }
  }

  @Test
  void aReaderSkipsNarrowsAndBounds() throws Exception {
    try (TableReadSession session = reading("ramp").build()) {
      InputSplit split = session.getSplits().get(0);
      assertEquals(range(1234, 4000), ids(Clients.rows(session.createReaderBuilder(split).withSkipRowNum(1234).build())));
      try (ArrowReader reader =
          session.createReaderBuilder(split).withDataColumns(List.of("c_string", "id")).withMaxBatchRows(700).build()) {
        long rows = 0;
        while (reader.nextBatch()) {
          assertTrue(reader.getCurrentValue().getRowCount() <= 700);
          assertEquals(2, reader.getCurrentValue().getFieldVectors().size());
          rows += reader.getCurrentValue().getRowCount();
        }
        assertEquals(4000, rows);
      }
    }
  }

  @Test
  void readersWorkInTheBackgroundToo() throws Exception {
    try (TableReadSession session = reading("ramp").build()) {
      List<Map<String, Object>> rows = Clients.rows(session.createReaderBuilder(session.getSplits().get(0)).withAsync(true).build());
      assertEquals(range(0, 4000), ids(rows));
    }
  }

  @Test
  void partitions() throws Exception {
    try (TableReadSession session =
        reading("parted")
            .withColumns(List.of("id"))
            .withPartitionColumns(List.of("region"))
            .withPartitions(List.of(new PartitionSpec("ds=20260101,region=us"), new PartitionSpec("ds=20260102,region=eu")))
            .build()) {
      List<Map<String, Object>> rows = rows(session);
      assertEquals(3000, rows.size());
      assertEquals(List.of("id", "region"), List.copyOf(rows.get(0).keySet()));
      assertEquals(1000, rows.stream().filter(row -> "us".equals(text(row.get("region")))).count());
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void filters(boolean fallback) throws Exception {
    try (TableReadSession session =
        reading("ramp").withFilter("id >= 1000 and id < 1500").enableFilterFallback(fallback).build()) {
      List<Object> ids = ids(rows(session));
      assertTrue(new HashSet<>(ids).containsAll(range(1000, 1500)));
      assertTrue(ids.size() < 4000);
    }
  }

  @Test
  void filtersThatNobodyUnderstands() throws Exception {
    ServiceException refusal = assertThrows(ServiceException.class, () -> reading("ramp").withFilter("id ~ 1").build());
    assertEquals(400, refusal.getHttpStatus());
    assertEquals("InvalidArgument", refusal.getErrorCode());
    assertFalse(refusal.getRequestId().isBlank());
    // What is no SQL is refused in any case; what the service does not know is left out on request.
    assertRefused(400, "InvalidArgument", () -> reading("ramp").withFilter("c_string like 'it%'").build());
    try (TableReadSession session = reading("ramp").withFilter("c_string like 'it%'").enableFilterFallback(true).build()) {
      assertEquals(4000, rows(session).size());
    }
  }

  @Test
  void previews() throws Exception {
    try (ArrowReader reader = client.previewTable(Clients.table("ramp"), null, List.of("id", "c_string"), 10)) {
      List<Map<String, Object>> rows = new ArrayList<>();
      while (reader.nextBatch()) {
        for (int row = 0; row < reader.getCurrentValue().getRowCount(); row++) {
          rows.add(
              Map.of("id", reader.getCurrentValue().getVector("id").getObject(row), "columns", reader.getCurrentValue().getFieldVectors().size()));
        }
      }
      assertEquals(10, rows.size());
      assertEquals(range(0, 10), ids(rows));
      assertEquals(2, rows.get(0).get("columns"));
    }
    try (ArrowReader reader = client.previewTable(Clients.table("parted"), new PartitionSpec("ds=20260101,region=us"), null, 5)) {
      assertTrue(reader.nextBatch());
      assertEquals(5, reader.getCurrentValue().getRowCount());
      assertEquals("us", reader.getCurrentValue().getVector("region").getObject(0).toString());
    }
  }

  @Test
  void refusals() {
    assertRefused(404, "NoSuchTable", () -> reading("nothing").build());
    assertRefused(400, "InvalidArgument", () -> reading("ramp").withColumns(List.of("nothing")).build());
    assertRefused(404, "NoSuchPartition", () -> reading("parted").withPartitions(List.of(new PartitionSpec("ds=1,region=x"))).build());
    // The client looks for its endpoint first, and takes no XML apart.
    ServiceException wrong = assertThrows(ServiceException.class, () -> Clients.client("local", "wrong"));
    assertEquals(401, wrong.getHttpStatus());
    assertTrue(wrong.getMessage().contains("SignatureNotMatch"), wrong.getMessage());
  }

  private static void assertRefused(int status, String code, org.junit.jupiter.api.function.Executable call) {
    ServiceException refusal = assertThrows(ServiceException.class, call);
    assertEquals(code, refusal.getErrorCode());
    assertEquals(status, refusal.getHttpStatus());
    assertFalse(refusal.getRequestId().isBlank());
  }

  private static String text(Object bytes) {
    return bytes instanceof byte[] raw ? new String(raw, StandardCharsets.UTF_8) : String.valueOf(bytes);
  }
}
