package maxstorage;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.PartitionSpec;
import com.aliyun.odps.data.Record;
import com.aliyun.odps.data.RecordWriter;
import com.aliyun.odps.storage.MaxStorageClient;
import com.aliyun.odps.storage.read.InstanceReadSession;
import com.aliyun.odps.storage.read.TableReadSession;
import com.aliyun.odps.storage.write.DeltaTableRecordWriter;
import com.aliyun.odps.storage.write.TableArrowWriter;
import com.aliyun.odps.storage.write.TableWriteSession;
import com.aliyun.odps.storage.write.TableWriteSessionBuilder;
import com.aliyun.odps.storage.write.WriteMode;
import com.aliyun.odps.table.InstanceIdentifier;
import com.aliyun.odps.table.TableIdentifier;
import com.aliyun.odps.table.arrow.ArrowWriter;
import com.aliyun.odps.table.read.split.InputSplit;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.apache.arrow.vector.BigIntVector;
import org.apache.arrow.vector.VarCharVector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** Write sessions, streams, Delta tables and results of instances with the client of the next generation. */
@Execution(ExecutionMode.SAME_THREAD)
class StorageWriteTest {
  private static final long BUFFER = 1 << 20;
  private MaxStorageClient client;

  @BeforeEach
  void open() {
    client = Clients.client();
  }

  @AfterEach
  void close() {
    client.close();
  }

  private TableWriteSessionBuilder writing(TableIdentifier table) {
    return client.createTableWriteSessionBuilder(table);
  }

  private interface Fill {
    void row(Record record, long id);
  }

  private static void write(TableWriteSession session, String stream, long from, long to, Fill fill) throws Exception {
    try (ArrowWriter writer = session.createWriterBuilder(stream, 1).build();
        RecordWriter records = writer.getAsRecordWriter(BUFFER)) {
      for (long id = from; id < to; id++) {
        Record record = records.newRecord(true);
        fill.row(record, id);
        records.write(record);
      }
    }
  }

  private static void plain(Record record, long id) {
    record.set("id", id);
    record.set("name", "n" + id);
  }

  private List<Map<String, Object>> rows(TableIdentifier table) throws Exception {
    List<Map<String, Object>> rows = new ArrayList<>();
    try (TableReadSession session = client.createTableReadSessionBuilder(table).build()) {
      for (InputSplit split : session.getSplits()) {
        rows.addAll(Clients.rows(session.createReaderBuilder(split).build()));
      }
    }
    rows.sort(Comparator.comparing(row -> (Long) row.get("id")));
    return rows;
  }

  private List<Object> ids(TableIdentifier table) throws Exception {
    return rows(table).stream().map(row -> row.get("id")).toList();
  }

  private static List<Object> range(long from, long to) {
    return LongStream.range(from, to).<Object>mapToObj(id -> id).toList();
  }

  private static String text(Object value) {
    return value instanceof byte[] bytes ? new String(bytes, StandardCharsets.UTF_8) : String.valueOf(value);
  }

  @Test
  void rowsAreThereAfterTheCommitAndNotBefore() throws Exception {
    TableIdentifier table = Clients.create("(id bigint, name string)");
    try (TableWriteSession session = writing(table).build()) {
      write(session, "a", 0, 1000, StorageWriteTest::plain);
      write(session, "b", 1000, 1500, StorageWriteTest::plain);
      assertEquals(List.of(), ids(table));
      session.commit();
    }
    assertEquals(range(0, 1500), ids(table));
    assertEquals("n1234", text(rows(table).get(1234).get("name")));
  }

  @Test
  void arrowBatchesAreWrittenAsTheyAre() throws Exception {
    TableIdentifier table = Clients.create("(id bigint, name string)");
    try (TableWriteSession session = writing(table).build()) {
      try (TableArrowWriter writer = (TableArrowWriter) session.createWriterBuilder("a", 1).build();
          VectorSchemaRoot batch = writer.createVectorSchemaRoot()) {
        BigIntVector ids = (BigIntVector) batch.getVector("id");
        VarCharVector names = (VarCharVector) batch.getVector("name");
        for (int row = 0; row < 300; row++) {
          ids.setSafe(row, row);
          if (row % 3 == 0) {
            names.setNull(row);
          } else {
            names.setSafe(row, ("n" + row).getBytes(StandardCharsets.UTF_8));
          }
        }
        batch.setRowCount(300);
        writer.writeBatch(batch);
        writer.flush();
      }
      session.commit();
    }
    List<Map<String, Object>> rows = rows(table);
    assertEquals(300, rows.size());
    assertEquals(null, rows.get(3).get("name"));
    assertEquals("n4", text(rows.get(4).get("name")));
  }

  @Test
  void overwritingReplacesAndAbortingDoesNot() throws Exception {
    TableIdentifier table = Clients.create("(id bigint, name string)");
    try (TableWriteSession session = writing(table).build()) {
      write(session, "a", 0, 10, StorageWriteTest::plain);
      session.commit();
    }
    try (TableWriteSession session = writing(table).withOverwrite(true).build()) {
      write(session, "a", 100, 200, StorageWriteTest::plain);
      session.abort();
    }
    assertEquals(range(0, 10), ids(table));
    try (TableWriteSession session = writing(table).withOverwrite(true).build()) {
      write(session, "a", 20, 25, StorageWriteTest::plain);
      session.commit();
    }
    assertEquals(range(20, 25), ids(table));
  }

  @Test
  void aPartitionIsMadeByTheCommit() throws Exception {
    TableIdentifier table = Clients.create("(id bigint, name string) partitioned by (ds string, hh bigint)");
    try (TableWriteSession session = writing(table).withPartition(new PartitionSpec("ds=20260101,hh=3")).build()) {
      write(session, "a", 0, 50, StorageWriteTest::plain);
      session.commit();
    }
    List<Map<String, Object>> rows = rows(table);
    assertEquals(50, rows.size());
    rows.forEach(row -> assertEquals("20260101/3", text(row.get("ds")) + "/" + row.get("hh")));
  }

  @Test
  void rowsFindTheirPartition() throws Exception {
    TableIdentifier table = Clients.create("(id bigint, name string) partitioned by (ds string)");
    try (TableWriteSession session = writing(table).build()) {
      write(
          session,
          "a",
          0,
          100,
          (record, id) -> {
            plain(record, id);
            record.set("ds", "d" + id % 3);
          });
      session.commit();
    }
    List<Map<String, Object>> rows = rows(table);
    assertEquals(100, rows.size());
    rows.forEach(row -> assertEquals("d" + (Long) row.get("id") % 3, text(row.get("ds"))));
  }

  @Test
  void streamedRowsAreThereAtOnce() throws Exception {
    TableIdentifier table = Clients.create("(id bigint, name string)");
    try (TableWriteSession session = writing(table).withWriteMode(WriteMode.STREAMING).build()) {
      write(session, "default", 0, 7, StorageWriteTest::plain);
      assertEquals(range(0, 7), ids(table));
      write(session, "default", 7, 9, StorageWriteTest::plain);
    }
    assertEquals(range(0, 9), ids(table));
  }

  @Test
  void theLastOperationOnAKeyWins() throws Exception {
    TableIdentifier table =
        Clients.create("(id bigint not null, name string, primary key (id)) tblproperties ('transactional'='true')");
    try (TableWriteSession session = writing(table).build()) {
      write(session, "a", 0, 10, StorageWriteTest::plain);
      session.commit();
    }
    try (TableWriteSession session = writing(table).build()) {
      try (ArrowWriter writer = session.createWriterBuilder("a", 1).build();
          RecordWriter records = writer.getAsRecordWriter(BUFFER)) {
        assertTrue(records instanceof DeltaTableRecordWriter);
        for (long id : new long[] {3, 4, 11}) {
          Record record = records.newRecord(true);
          record.set("id", id);
          record.set("name", "new" + id);
          records.write(record);
        }
        for (long id : new long[] {4, 5}) {
          Record record = records.newRecord(true);
          record.set("id", id);
          records.delete(record);
        }
      }
      session.commit();
    }
    List<Map<String, Object>> rows = rows(table);
    assertEquals(List.of(0L, 1L, 2L, 3L, 6L, 7L, 8L, 9L, 11L), rows.stream().map(row -> row.get("id")).toList());
    assertEquals("new3", text(rows.get(3).get("name")));
    assertEquals("new11", text(rows.get(8).get("name")));
    assertEquals(List.of("id", "name"), List.copyOf(rows.get(0).keySet()));
  }

  @Test
  void writesAfterTheCommitAreRefused() throws Exception {
    TableIdentifier table = Clients.create("(id bigint, name string)");
    try (TableWriteSession session = writing(table).build()) {
      write(session, "a", 0, 1, StorageWriteTest::plain);
      session.commit();
      assertThrows(Exception.class, () -> write(session, "b", 1, 2, StorageWriteTest::plain));
    }
    assertEquals(range(0, 1), ids(table));
  }

  @Test
  void resultsOfAnInstance() throws Exception {
    String instance = Clients.sql("select id, c_string from ramp where id >= 100 and id < 350;").getId();
    InstanceReadSession session = client.createInstanceReadSessionBuilder(InstanceIdentifier.of(Clients.PROJECT, instance)).build();
    assertEquals(250, session.getRecordCount());
    List<Map<String, Object>> rows = Clients.rows(session.createReaderBuilder().build());
    rows.sort(Comparator.comparing(row -> (Long) row.get("id")));
    assertEquals(range(100, 350), rows.stream().map(row -> row.get("id")).toList());
    assertEquals("it's 0100", text(rows.get(0).get("c_string")));
    assertEquals(20, Clients.rows(session.createReaderBuilder().withOffset(100).withCount(20).build()).size());
    InstanceReadSession again =
        client.createInstanceReadSessionBuilder(InstanceIdentifier.of(Clients.PROJECT, instance)).withSessionId(session.getId()).build();
    assertEquals(250, again.getRecordCount());
  }

  @Test
  void blobsGoUpAsReferencesAndComeDownAsBytes() throws Exception {
    TableIdentifier table = Clients.create("(id bigint, picture blob) tblproperties ('columnar.nested.type'='true')");
    byte[] picture = new byte[10000];
    for (int at = 0; at < picture.length; at++) {
      picture[at] = (byte) (at * 31);
    }
    try (TableWriteSession session = writing(table).build()) {
      try (ArrowWriter writer = session.createWriterBuilder("a", 1).build();
          RecordWriter records = writer.getAsRecordWriter(BUFFER)) {
        for (long id = 0; id < 3; id++) {
          Record record = records.newRecord(true);
          record.set("id", id);
          record.set("picture", com.aliyun.odps.data.Blob.fromInputStream(new java.io.ByteArrayInputStream(picture, 0, (int) (id * 5000))));
          records.write(record);
        }
      }
      session.commit();
    }
    List<Map<String, Object>> rows = rows(table);
    assertEquals(3, rows.size());
    List<com.aliyun.odps.data.Blob> blobs =
        rows.stream().map(row -> com.aliyun.odps.data.Blob.fromReference(reference(row.get("picture")))).toList();
    assertArrayEquals(picture, client.openBlobManager().download(blobs.get(2)).readAllBytes());
    try (var all = client.openBlobManager().batchDownload(blobs)) {
      for (int id = 0; id < 3; id++) {
        assertTrue(all.hasNext());
        assertArrayEquals(java.util.Arrays.copyOf(picture, id * 5000), all.next().readAllBytes());
      }
    }
  }

  private static String reference(Object value) {
    return value instanceof com.aliyun.odps.data.Blob blob ? blob.getReference() : text(value);
  }
}
