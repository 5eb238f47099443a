package maxstorage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.table.configuration.ReaderOptions;
import com.aliyun.odps.table.configuration.SplitOptions;
import com.aliyun.odps.table.optimizer.predicate.Attribute;
import com.aliyun.odps.table.optimizer.predicate.BinaryPredicate;
import com.aliyun.odps.table.optimizer.predicate.Constant;
import com.aliyun.odps.table.read.TableBatchReadSession;
import com.aliyun.odps.table.read.split.InputSplit;
import com.aliyun.odps.table.read.split.InputSplitAssigner;
import com.aliyun.odps.table.read.split.impl.IndexedInputSplitAssigner;
import com.aliyun.odps.table.read.split.impl.RowRangeInputSplitAssigner;
import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** How a table is cut: each mode delivers every row once. */
class SplitModesTest {
  private static final List<Object> IDS = LongStream.range(0, 4000).<Object>mapToObj(id -> id).toList();

  @Test
  void size() throws Exception {
    TableBatchReadSession session =
        Clients.reading("ramp").withSplitOptions(SplitOptions.newBuilder().SplitByByteSize(10 << 20).build()).buildBatchReadSession();
    assertTrue(session.getInputSplitAssigner() instanceof IndexedInputSplitAssigner);
    assertEquals(1, session.getInputSplitAssigner().getSplitsCount());
    assertEquals(IDS, Rows.column(Rows.of(session), "id"));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3, 8})
  void parallelism(int wanted) throws Exception {
    TableBatchReadSession session =
        Clients.reading("ramp").withSplitOptions(SplitOptions.newBuilder().SplitByParallelism(wanted).build()).buildBatchReadSession();
    assertEquals(wanted, session.getInputSplitAssigner().getSplitsCount()); // the table has eight blocks
    assertEquals(IDS, Rows.column(Rows.of(session), "id"));
  }

  @Test
  void rowOffset() throws Exception {
    TableBatchReadSession session =
        Clients.reading("ramp").withSplitOptions(SplitOptions.newBuilder().SplitByRowOffset().build()).buildBatchReadSession();
    InputSplitAssigner assigner = session.getInputSplitAssigner();
    assertTrue(assigner instanceof RowRangeInputSplitAssigner);
    assertEquals(4000, assigner.getTotalRowCount());
    for (long[] range : new long[][] {{0, 4000}, {0, 1}, {3999, 1}, {499, 2}, {1234, 1777}}) {
      List<Map<String, Object>> rows = Rows.of(session, assigner.getSplitByRowOffset(range[0], range[1]), Rows.options());
      assertEquals(IDS.subList((int) range[0], (int) (range[0] + range[1])), Rows.column(rows, "id"));
    }
  }

  @Test
  void aPredicateInEveryMode() throws Exception {
    String clustered = Clients.create("(id bigint) clustered by (id) sorted by (id) into 4 buckets");
    Clients.sql("insert overwrite table " + clustered + " select id from ramp;");
    SplitOptions.Builder options = SplitOptions.newBuilder();
    for (SplitOptions mode : List.of(options.SplitByByteSize(10 << 20).build(), options.SplitByParallelism(3).build())) {
      assertEquals(500, rowsUnderAPredicate("ramp", mode)); // one of eight blocks
    }
    assertEquals(4000, rowsUnderAPredicate("ramp", options.SplitByRowOffset().build())); // rows keep their numbers
    int rowsOfABucket = rowsUnderAPredicate(clustered, options.SplitByBucket().build());
    assertTrue(500 < rowsOfABucket && rowsOfABucket < 2000, rowsOfABucket + " of 4000 rows are in one of four buckets");
  }

  /** Reads the row 3600 by its id, and tells how many rows came with it. */
  private static int rowsUnderAPredicate(String table, SplitOptions mode) throws IOException {
    TableBatchReadSession session =
        Clients.reading(table)
            .requiredDataColumns(List.of("id"))
            .withSplitOptions(mode)
            .withFilterPredicate(BinaryPredicate.equals(Attribute.of("id"), Constant.of(3600L)))
            .buildBatchReadSession();
    List<Object> ids = Rows.column(Rows.of(session), "id");
    assertEquals(1, ids.stream().filter(id -> id.equals(3600L)).count(), mode.getSplitMode().toString());
    assertEquals(ids.size(), new HashSet<>(ids).size(), "a row came twice");
    return ids.size();
  }

  @Test
  void bucketsOfATableWithoutClusteringAreRefused() {
    IOException refusal =
        assertThrows(
            IOException.class,
            () -> Clients.reading("ramp").withSplitOptions(SplitOptions.newBuilder().SplitByBucket().build()).buildBatchReadSession());
    Failures.check(refusal, 400, "InvalidArgument");
  }

  @Test
  void splitsKeepToOnePartitionIfAsked() throws Exception {
    for (boolean crossing : new boolean[] {true, false}) {
      TableBatchReadSession session =
          Clients.reading("parted")
              .withSplitOptions(SplitOptions.newBuilder().SplitByParallelism(1).withCrossPartition(crossing).build())
              .buildBatchReadSession();
      int splits = session.getInputSplitAssigner().getSplitsCount();
      assertEquals(crossing ? 1 : 3, splits);
      long rows = 0;
      for (InputSplit split : Rows.splits(session)) {
        List<Map<String, Object>> delivered = Rows.of(session, split, Rows.options());
        Set<Object> partitions = new HashSet<>();
        delivered.forEach(row -> partitions.add(text(row.get("ds")) + "/" + text(row.get("region"))));
        assertEquals(crossing ? 3 : 1, partitions.size());
        rows += delivered.size();
      }
      assertEquals(4000, rows);
    }
  }

  @Test
  void atMostSoManyFilesInASplit() throws Exception {
    TableBatchReadSession session =
        Clients.reading("parted")
            .withSplitOptions(SplitOptions.newBuilder().SplitByByteSize(256 << 20).withMaxFileNum(1).build())
            .buildBatchReadSession();
    assertEquals(3, session.getInputSplitAssigner().getSplitsCount()); // one file in each of the three partitions
    assertEquals(4000, Rows.of(session).size());
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 333, 4096, 20000})
  void batchesHaveAtMostSoManyRows(int rows) throws Exception {
    TableBatchReadSession session =
        Clients.reading("ramp").requiredDataColumns(List.of("id")).withSplitOptions(SplitOptions.createDefault()).buildBatchReadSession();
    ReaderOptions options = ReaderOptions.newBuilder().withSettings(Clients.settings()).withMaxBatchRowCount(rows).build();
    List<Integer> batches = Rows.batches(session, Rows.splits(session).get(0), options);
    assertEquals(4000, batches.stream().mapToInt(Integer::intValue).sum());
    assertTrue(batches.stream().allMatch(count -> 0 < count && count <= rows), batches.toString());
  }

  @Test
  void batchesHaveAtMostSoManyBytes() throws Exception {
    TableBatchReadSession session =
        Clients.reading("many_rows").withSplitOptions(SplitOptions.createDefault()).buildBatchReadSession();
    ReaderOptions options =
        ReaderOptions.newBuilder().withSettings(Clients.settings()).withMaxBatchRowCount(20000).withMaxBatchRawSize(1 << 20).build();
    List<Long> sizes =
        Rows.arrow(
            session,
            Rows.splits(session).get(0),
            options,
            batch -> batch.getFieldVectors().stream().mapToLong(vector -> vector.getBufferSize()).sum());
    assertTrue(sizes.size() > 1, sizes.toString());
    assertTrue(sizes.stream().allMatch(bytes -> bytes <= 1 << 20), sizes.toString());
  }

  @Test
  void anEmptyTableHasNoSplits() throws Exception {
    TableBatchReadSession session = Clients.reading("empty").withSplitOptions(SplitOptions.createDefault()).buildBatchReadSession();
    assertEquals(0, session.getInputSplitAssigner().getSplitsCount());
    assertEquals(24, session.readSchema().getColumnCount());
  }

  private static String text(Object bytes) {
    return new String((byte[]) bytes, java.nio.charset.StandardCharsets.UTF_8);
  }
}
