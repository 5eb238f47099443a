package maxstorage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.Column;
import com.aliyun.odps.PartitionSpec;
import com.aliyun.odps.data.ArrayRecord;
import com.aliyun.odps.data.Binary;
import com.aliyun.odps.data.Char;
import com.aliyun.odps.data.SimpleStruct;
import com.aliyun.odps.data.Varchar;
import com.aliyun.odps.table.SessionStatus;
import com.aliyun.odps.table.arrow.constructor.ArrowBatchConstructor;
import com.aliyun.odps.table.configuration.CompressionCodec;
import com.aliyun.odps.table.configuration.DynamicPartitionOptions;
import com.aliyun.odps.table.configuration.SplitOptions;
import com.aliyun.odps.table.configuration.WriterOptions;
import com.aliyun.odps.table.distribution.ClusteredDistribution;
import com.aliyun.odps.table.distribution.Distribution;
import com.aliyun.odps.table.order.SortDirection;
import com.aliyun.odps.table.read.TableBatchReadSession;
import com.aliyun.odps.table.read.split.InputSplit;
import com.aliyun.odps.table.record.constructor.RecordToArrowConverter;
import com.aliyun.odps.table.write.BatchWriter;
import com.aliyun.odps.table.write.TableBatchWriteSession;
import com.aliyun.odps.table.write.TableWriteCapabilities;
import com.aliyun.odps.table.write.WriterAttemptId;
import com.aliyun.odps.table.write.WriterCommitMessage;
import com.aliyun.odps.type.ArrayTypeInfo;
import com.aliyun.odps.type.MapTypeInfo;
import com.aliyun.odps.type.StructTypeInfo;
import com.aliyun.odps.type.TypeInfo;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.LongFunction;
import java.util.stream.LongStream;
import org.apache.arrow.vector.BigIntVector;
import org.apache.arrow.vector.VarCharVector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Write sessions: blocks, attempts, partitions, overwriting, clustering, every type. What was written is read back. */
class WriteTest {
  private static WriterOptions options(CompressionCodec codec) {
    return WriterOptions.newBuilder().withSettings(Clients.settings()).withCompressionCodec(codec).build();
  }

  /**
   * Writes the rows of one block: for each id the values behind it. The client has no record writer for batch sessions, only this
   * converter of records into batches.
   */
  private static WriterCommitMessage block(
      TableBatchWriteSession session, long block, int attempt, long from, long to, LongFunction<Object[]> values) throws Exception {
    List<Column> columns = session.requiredSchema().getColumns();
    try (BatchWriter<VectorSchemaRoot> writer = session.createArrowWriter(block, WriterAttemptId.of(attempt), options(CompressionCodec.ZSTD));
        VectorSchemaRoot root = writer.newElement()) {
      ArrowBatchConstructor<ArrayRecord> batch = RecordToArrowConverter.createRecordArrowBatchConstructor(columns, root);
      for (long id = from; id < to; id++) {
        ArrayRecord record = new ArrayRecord(columns.toArray(new Column[0]));
        record.set(0, id);
        Object[] further = values.apply(id);
        for (int column = 0; column < further.length; column++) {
          record.set(column + 1, further[column]);
        }
        batch.write(record);
      }
      batch.finish();
      writer.write(root);
      return writer.commit();
    }
  }

  private static WriterCommitMessage block(TableBatchWriteSession session, long block, long from, long to) throws Exception {
    return block(session, block, 0, from, to, id -> new Object[] {"n" + id});
  }

  private static WriterCommitMessage[] messages(WriterCommitMessage... messages) {
    return messages;
  }

  private static List<Map<String, Object>> rows(String table) throws Exception {
    List<Map<String, Object>> rows =
        Rows.of(Clients.reading(table).withSplitOptions(SplitOptions.createDefault()).buildBatchReadSession());
    rows.sort(Comparator.comparing(row -> (Long) row.get("id")));
    return rows;
  }

  private static List<Object> ids(String table) throws Exception {
    return Rows.column(rows(table), "id");
  }

  private static List<Object> range(long from, long to) {
    return LongStream.range(from, to).<Object>mapToObj(id -> id).toList();
  }

  private static String text(Object value) {
    return value instanceof byte[] bytes ? new String(bytes, StandardCharsets.UTF_8) : String.valueOf(value);
  }

  @Test
  void blocksAreThereAfterTheCommitAndNotBefore() throws Exception {
    String table = Clients.create("(id bigint, name string)");
    TableBatchWriteSession session = Clients.writing(table).buildBatchWriteSession();
    assertEquals(SessionStatus.NORMAL, session.getStatus());
    WriterCommitMessage first = block(session, 0, 0, 1000);
    WriterCommitMessage second = block(session, 7, 1000, 3000);
    assertEquals(List.of(), ids(table));
    session.commit(messages(first, second));
    assertEquals(range(0, 3000), ids(table));
    assertEquals("n2999", text(rows(table).get(2999).get("name")));
  }

  @Test
  void blocksThatAreNotInTheCommitAreDropped() throws Exception {
    String table = Clients.create("(id bigint, name string)");
    TableBatchWriteSession session = Clients.writing(table).buildBatchWriteSession();
    block(session, 0, 0, 10);
    session.commit(messages(block(session, 1, 10, 20)));
    assertEquals(range(10, 20), ids(table));
  }

  @Test
  void aHigherAttemptReplacesTheLower() throws Exception {
    String table = Clients.create("(id bigint, name string)");
    TableBatchWriteSession session = Clients.writing(table).withWriteCheck(true).buildBatchWriteSession();
    block(session, 0, 0, 0, 10, id -> new Object[] {"first"});
    WriterCommitMessage second = block(session, 0, 1, 0, 10, id -> new Object[] {"second"});
    session.commit(messages(second));
    List<Map<String, Object>> rows = rows(table);
    assertEquals(10, rows.size());
    rows.forEach(row -> assertEquals("second", text(row.get("name"))));
  }

  @Test
  void anAttemptIsUsedOnceIfChecksAreOn() throws Exception {
    String table = Clients.create("(id bigint, name string)");
    TableBatchWriteSession session = Clients.writing(table).withWriteCheck(true).buildBatchWriteSession();
    WriterCommitMessage written = block(session, 0, 0, 10);
    assertThrows(Exception.class, () -> block(session, 0, 0, 10));
    session.commit(messages(written));
    assertEquals(range(0, 10), ids(table));
  }

  @Test
  void anAbortedBlockLeavesNothing() throws Exception {
    String table = Clients.create("(id bigint, name string)");
    TableBatchWriteSession session = Clients.writing(table).buildBatchWriteSession();
    BatchWriter<VectorSchemaRoot> writer =
        session.createArrowWriter(0, WriterAttemptId.of(0), options(CompressionCodec.NO_COMPRESSION));
    try (VectorSchemaRoot root = writer.newElement()) {
      ((BigIntVector) root.getVector("id")).setSafe(0, 1);
      root.setRowCount(1);
      writer.write(root);
    }
    writer.abort();
    session.commit(messages(block(session, 1, 10, 11)));
    assertEquals(range(10, 11), ids(table));
  }

  @Test
  void overwriting() throws Exception {
    String table = Clients.create("(id bigint, name string)");
    TableBatchWriteSession first = Clients.writing(table).buildBatchWriteSession();
    first.commit(messages(block(first, 0, 0, 10)));
    TableBatchReadSession before =
        Clients.reading(table).withSplitOptions(SplitOptions.createDefault()).buildBatchReadSession();
    TableBatchWriteSession second = Clients.writing(table).overwrite(true).buildBatchWriteSession();
    second.commit(messages(block(second, 0, 50, 55)));
    assertEquals(range(50, 55), ids(table));
    assertEquals(10, Rows.of(before).size()); // a session reads its snapshot for ever
    TableBatchWriteSession third = Clients.writing(table).overwrite(true).buildBatchWriteSession();
    third.commit(messages());
    assertEquals(List.of(), ids(table));
  }

  @Test
  void aStaticPartition() throws Exception {
    String table = Clients.create("(id bigint, name string) partitioned by (ds string, hh bigint)");
    TableBatchWriteSession session =
        Clients.writing(table).partition(new PartitionSpec("ds=20260101,hh=3")).buildBatchWriteSession();
    assertEquals(List.of("id", "name"), session.requiredSchema().getColumnNames());
    session.commit(messages(block(session, 0, 0, 5)));
    TableBatchWriteSession other =
        Clients.writing(table).partition(new PartitionSpec("ds=20260101,hh=4")).overwrite(true).buildBatchWriteSession();
    other.commit(messages(block(other, 0, 5, 7)));
    List<Map<String, Object>> rows = rows(table);
    assertEquals(range(0, 7), Rows.column(rows, "id"));
    rows.forEach(row -> assertEquals((Long) row.get("id") < 5 ? 3L : 4L, row.get("hh")));
    assertTrue(Clients.odps().tables().get(table).hasPartition(new PartitionSpec("ds=20260101,hh=4")));
  }

  @Test
  void dynamicPartitions() throws Exception {
    String table = Clients.create("(id bigint, name string) partitioned by (ds string)");
    TableBatchWriteSession session = Clients.writing(table).buildBatchWriteSession();
    assertEquals(List.of("id", "name", "ds"), session.requiredSchema().getColumnNames());
    session.commit(messages(block(session, 0, 0, 0, 100, id -> new Object[] {"n", "d" + id % 3})));
    assertEquals(3, Clients.odps().tables().get(table).getPartitions().size());
    rows(table).forEach(row -> assertEquals("d" + (Long) row.get("id") % 3, text(row.get("ds"))));
    // Overwriting replaces the partitions that receive rows, and no other.
    TableBatchWriteSession again = Clients.writing(table).overwrite(true).buildBatchWriteSession();
    again.commit(messages(block(again, 0, 0, 200, 201, id -> new Object[] {"n", "d1"})));
    Map<String, Integer> counts = new TreeMap<>();
    rows(table).forEach(row -> counts.merge(text(row.get("ds")), 1, Integer::sum));
    assertEquals(Map.of("d0", 34, "d1", 1, "d2", 33), counts);
  }

  @Test
  void tooManyDynamicPartitions() throws Exception {
    String table = Clients.create("(id bigint, name string) partitioned by (ds string)");
    TableBatchWriteSession session =
        Clients.writing(table)
            .withDynamicPartitionOptions(DynamicPartitionOptions.newBuilder().withDynamicPartitionLimit(3).build())
            .buildBatchWriteSession();
    assertThrows(
        Exception.class,
        () -> session.commit(messages(block(session, 0, 0, 0, 10, id -> new Object[] {"n", "d" + id}))));
    assertEquals(List.of(), ids(table));
  }

  @ParameterizedTest
  @EnumSource(DynamicPartitionOptions.InvalidStrategy.class)
  void partitionValuesThatAreNone(DynamicPartitionOptions.InvalidStrategy strategy) throws Exception {
    String table = Clients.create("(id bigint, name string) partitioned by (ds string)");
    TableBatchWriteSession session =
        Clients.writing(table)
            .withDynamicPartitionOptions(
                DynamicPartitionOptions.newBuilder().withInvalidStrategy(strategy).withInvalidLimit(1).build())
            .buildBatchWriteSession();
    LongFunction<Object[]> twoWithout = id -> new Object[] {"n", id < 2 ? null : "d"};
    if (strategy == DynamicPartitionOptions.InvalidStrategy.DROP) {
      session.commit(messages(block(session, 0, 0, 0, 10, twoWithout)));
      assertEquals(range(2, 10), ids(table));
    } else {
      assertThrows(Exception.class, () -> block(session, 0, 0, 0, 10, twoWithout));
    }
  }

  @ParameterizedTest
  @EnumSource(CompressionCodec.class)
  void arrowBatches(CompressionCodec codec) throws Exception {
    String table = Clients.create("(id bigint, name string)");
    TableBatchWriteSession session = Clients.writing(table).withWriteCheck(true).buildBatchWriteSession();
    WriterCommitMessage message;
    try (BatchWriter<VectorSchemaRoot> writer = session.createArrowWriter(0, WriterAttemptId.of(0), options(codec))) {
      for (int batch = 0; batch < 5; batch++) {
        try (VectorSchemaRoot root = writer.newElement()) {
          BigIntVector ids = (BigIntVector) root.getVector("id");
          VarCharVector names = (VarCharVector) root.getVector("name");
          for (int row = 0; row < 1000; row++) {
            ids.setSafe(row, batch * 1000 + row);
            names.setSafe(row, ("n" + row).getBytes(StandardCharsets.UTF_8));
          }
          root.setRowCount(1000);
          writer.write(root);
        }
      }
      message = writer.commit();
    }
    session.commit(messages(message));
    assertEquals(range(0, 5000), ids(table));
  }

  /** A worker has the session's bytes and settings of its own. */
  @Test
  void theDriverCommitsWhatWorkersWrote() throws Exception {
    String table = Clients.create("(id bigint, name string)");
    TableBatchWriteSession session = Clients.writing(table).buildBatchWriteSession();
    byte[] shipped = Shipped.bytes(session);
    List<byte[]> returned = new ArrayList<>();
    for (int worker = 0; worker < 3; worker++) {
      TableBatchWriteSession copy = (TableBatchWriteSession) Shipped.object(shipped);
      returned.add(Shipped.bytes(block(copy, worker, worker * 10L, worker * 10L + 10)));
    }
    WriterCommitMessage[] messages = new WriterCommitMessage[3];
    for (int worker = 0; worker < 3; worker++) {
      messages[worker] = (WriterCommitMessage) Shipped.object(returned.get(worker));
    }
    TableBatchWriteSession again = Clients.writing(table).withSessionId(session.getId()).buildBatchWriteSession();
    again.commit(messages);
    assertEquals(range(0, 30), ids(table));
    assertThrows(Exception.class, () -> block(session, 9, 0, 1)); // the session is over
  }

  @Test
  void everyType() throws Exception {
    String table =
        Clients.create(
            "(id bigint, c_tinyint tinyint, c_smallint smallint, c_int int, c_bigint bigint, c_float float, c_double double, c_boolean boolean,"
                + " c_string string, c_varchar varchar(20), c_char char(4), c_binary binary, c_decimal decimal(15,2), c_decimal38 decimal(38,0),"
                + " c_plain_decimal decimal, c_date date, c_datetime datetime, c_timestamp timestamp, c_timestamp_ntz timestamp_ntz,"
                + " c_array array<int>, c_map map<string,bigint>, c_struct struct<a:int,b:string>,"
                + " c_deep array<struct<k:string,m:map<string,array<bigint>>>>)");
    TableBatchWriteSession session = Clients.writing(table).buildBatchWriteSession();
    List<String> names = session.requiredSchema().getColumnNames();
    WriterCommitMessage message =
        block(
            session,
            0,
            0,
            0,
            4,
            id -> {
              Object[] values = new Object[names.size() - 1];
              for (int column = 0; column < values.length; column++) {
                TypeInfo type = session.requiredSchema().getColumn(column + 1).orElseThrow().getTypeInfo();
                values[column] = ofClient(type, AllTypes.VALUES.get(names.get(column + 1))[(int) id]);
              }
              return values;
            });
    session.commit(messages(message));
    List<Map<String, Object>> rows = rows(table);
    assertEquals(4, rows.size());
    for (int row = 0; row < 4; row++) {
      Map<String, Object> delivered = rows.get(row);
      delivered.remove("id");
      AllTypes.assertRow(row, delivered);
    }
  }

  /** A value of the JDK as the class that the client's record wants. */
  private static Object ofClient(TypeInfo type, Object value) {
    if (value == null) {
      return null;
    } else if (type instanceof ArrayTypeInfo array) {
      List<Object> items = new ArrayList<>();
      ((List<?>) value).forEach(item -> items.add(ofClient(array.getElementTypeInfo(), item)));
      return items;
    } else if (type instanceof MapTypeInfo map) {
      Map<Object, Object> entries = new LinkedHashMap<>();
      ((Map<?, ?>) value)
          .forEach((key, item) -> entries.put(ofClient(map.getKeyTypeInfo(), key), ofClient(map.getValueTypeInfo(), item)));
      return entries;
    } else if (type instanceof StructTypeInfo struct) {
      List<Object> fields = new ArrayList<>();
      for (int field = 0; field < struct.getFieldCount(); field++) {
        fields.add(ofClient(struct.getFieldTypeInfos().get(field), ((List<?>) value).get(field)));
      }
      return new SimpleStruct(struct, fields);
    }
    return switch (type.getOdpsType()) {
      case VARCHAR -> new Varchar((String) value);
      case CHAR -> new Char(((String) value).stripTrailing());
      case BINARY -> new Binary((byte[]) value);
      case DATETIME -> ((Instant) value).atZone(ZoneOffset.UTC);
      default -> value;
    };
  }

  @Test
  void clusteredTables() throws Exception {
    String table = Clients.create("(id bigint, name string) clustered by (id) sorted by (id) into 4 buckets");
    TableBatchWriteSession session =
        Clients.writing(table)
            .withCapabilities(TableWriteCapabilities.newBuilder().supportHashBuckets(true).build())
            .buildBatchWriteSession();
    Distribution distribution = session.requiredDistribution();
    assertTrue(distribution instanceof ClusteredDistribution, String.valueOf(distribution));
    assertEquals(Distribution.Type.HASH, distribution.getType());
    assertEquals(4, ((ClusteredDistribution) distribution).getBucketsNumber().orElseThrow());
    assertEquals(SortDirection.ASC, session.requiredOrdering()[0].direction());
    // Who cannot distribute by himself leaves it to the service.
    TableBatchWriteSession unaware = Clients.writing(table).buildBatchWriteSession();
    unaware.commit(messages(block(unaware, 0, 0, 1000)));
    assertEquals(range(0, 1000), ids(table));

    TableBatchReadSession reading =
        Clients.reading(table).withSplitOptions(SplitOptions.newBuilder().SplitByBucket().build()).buildBatchReadSession();
    assertEquals(4, reading.getInputSplitAssigner().getSplitsCount());
    TreeSet<Object> seen = new TreeSet<>();
    for (InputSplit split : Rows.splits(reading)) {
      List<Object> ids = Rows.column(Rows.of(reading, split, Rows.options()), "id");
      assertEquals(ids.stream().sorted().toList(), ids); // sorted inside a bucket
      seen.addAll(ids);
    }
    assertEquals(1000, seen.size());
    TableBatchReadSession two =
        Clients.reading(table).requiredBucketIds(List.of(0, 2)).withSplitOptions(SplitOptions.createDefault()).buildBatchReadSession();
    int some = Rows.of(two).size();
    assertTrue(0 < some && some < 1000, some + " rows in two of four buckets");
  }
}
