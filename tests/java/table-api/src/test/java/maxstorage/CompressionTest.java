package maxstorage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.data.ArrayRecord;
import com.aliyun.odps.table.configuration.CompressionCodec;
import com.aliyun.odps.table.configuration.ReaderOptions;
import com.aliyun.odps.table.configuration.SplitOptions;
import com.aliyun.odps.table.metrics.MetricNames;
import com.aliyun.odps.table.read.SplitReader;
import com.aliyun.odps.table.read.TableBatchReadSession;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The same cells under every codec, and fewer bytes on the wire where one was asked for. */
class CompressionTest {
  private static ReaderOptions with(CompressionCodec codec, boolean reuse) {
    return ReaderOptions.newBuilder().withSettings(Clients.settings()).withCompressionCodec(codec).withReuseBatch(reuse).build();
  }

  @ParameterizedTest
  @EnumSource(CompressionCodec.class)
  void everyTypeUnderEveryCodec(CompressionCodec codec) throws Exception {
    TableBatchReadSession session = TypesTest.session("many_rows");
    List<Map<String, Object>> rows = Rows.of(session, Rows.splits(session).get(0), with(codec, true));
    assertEquals(20000, rows.size());
    for (int row = 0; row < 20000; row += 999) {
      AllTypes.assertRow(row % 4, rows.get(row));
    }
  }

  @Test
  void codecsSaveBytes() throws Exception {
    TableBatchReadSession session =
        Clients.reading("lineitem").withSplitOptions(SplitOptions.createDefault()).buildBatchReadSession();
    Map<CompressionCodec, Long> bytes = new HashMap<>();
    for (CompressionCodec codec : CompressionCodec.values()) {
      try (SplitReader<ArrayRecord> reader = session.createRecordReader(Rows.splits(session).get(0), with(codec, false))) {
        while (reader.hasNext()) {
          reader.get();
        }
        bytes.put(codec, reader.currentMetricsValues().counter(MetricNames.BYTES_COUNT).orElseThrow().getCount());
      }
    }
    assertTrue(bytes.get(CompressionCodec.LZ4_FRAME) < bytes.get(CompressionCodec.NO_COMPRESSION), bytes.toString());
    assertTrue(bytes.get(CompressionCodec.ZSTD) < bytes.get(CompressionCodec.LZ4_FRAME), bytes.toString());
  }
}
