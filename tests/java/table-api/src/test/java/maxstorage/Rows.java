package maxstorage;

import com.aliyun.odps.Column;
import com.aliyun.odps.data.ArrayRecord;
import com.aliyun.odps.table.configuration.ReaderOptions;
import com.aliyun.odps.table.read.SplitReader;
import com.aliyun.odps.table.read.TableBatchReadSession;
import com.aliyun.odps.table.read.split.InputSplit;
import com.aliyun.odps.table.read.split.InputSplitAssigner;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.apache.arrow.vector.VectorSchemaRoot;

/** What a session delivers, as Java values. */
final class Rows {
  private Rows() {}

  static ReaderOptions options() {
    return ReaderOptions.newBuilder().withSettings(Clients.settings()).build();
  }

  /** Every row of every split: values by column name, in the order of the session. */
  static List<Map<String, Object>> of(TableBatchReadSession session) throws IOException {
    List<Map<String, Object>> rows = new ArrayList<>();
    for (InputSplit split : splits(session)) {
      rows.addAll(of(session, split, options()));
    }
    return rows;
  }

  static List<Map<String, Object>> of(TableBatchReadSession session, InputSplit split, ReaderOptions options) throws IOException {
    List<Map<String, Object>> rows = new ArrayList<>();
    try (SplitReader<ArrayRecord> reader = session.createRecordReader(split, options)) {
      while (reader.hasNext()) {
        ArrayRecord record = reader.get();
        Map<String, Object> row = new LinkedHashMap<>();
        for (Column column : session.readSchema().getColumns()) {
          row.put(column.getName(), record.get(column.getName()));
        }
        rows.add(row);
      }
    }
    return rows;
  }

  /** The row counts of the batches of a split, and what `check` makes of the first batch. */
  static List<Integer> batches(TableBatchReadSession session, InputSplit split, ReaderOptions options) throws IOException {
    return arrow(session, split, options, VectorSchemaRoot::getRowCount);
  }

  /** Applies a function to each Arrow batch of a split, while it is valid. */
  static <T> List<T> arrow(TableBatchReadSession session, InputSplit split, ReaderOptions options, Function<VectorSchemaRoot, T> each)
      throws IOException {
    List<T> results = new ArrayList<>();
    try (SplitReader<VectorSchemaRoot> reader = session.createArrowReader(split, options)) {
      while (reader.hasNext()) {
        results.add(each.apply(reader.get()));
      }
    }
    return results;
  }

  /** All splits of an indexed session; those of 1000 rows each of a session of row ranges. */
  static List<InputSplit> splits(TableBatchReadSession session) throws IOException {
    InputSplitAssigner assigner = session.getInputSplitAssigner();
    List<InputSplit> splits = new ArrayList<>();
    if (assigner.getClass().getSimpleName().startsWith("RowRange")) {
      for (long at = 0; at < assigner.getTotalRowCount(); at += 1000) {
        splits.add(assigner.getSplitByRowOffset(at, Math.min(1000, assigner.getTotalRowCount() - at)));
      }
      return splits;
    }
    for (int index = 0; index < assigner.getSplitsCount(); index++) {
      splits.add(assigner.getSplit(index));
    }
    return splits;
  }

  static List<Object> column(List<Map<String, Object>> rows, String name) {
    List<Object> values = new ArrayList<>();
    rows.forEach(row -> values.add(row.get(name)));
    return values;
  }
}
