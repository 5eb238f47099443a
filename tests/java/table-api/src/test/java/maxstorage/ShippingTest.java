package maxstorage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.table.SessionStatus;
import com.aliyun.odps.table.configuration.SplitOptions;
import com.aliyun.odps.table.read.TableBatchReadSession;
import com.aliyun.odps.table.read.TableReadSessionBuilder;
import com.aliyun.odps.table.read.impl.batch.TableBatchReadSessionImpl;
import com.aliyun.odps.table.read.split.InputSplit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A driver plans, workers read: sessions and splits travel, credentials do not. */
class ShippingTest {
  private static SplitOptions options(String mode) {
    return mode.equals("RowOffset")
        ? SplitOptions.newBuilder().SplitByRowOffset().build()
        : SplitOptions.newBuilder().SplitByParallelism(4).build();
  }

  @ParameterizedTest
  @ValueSource(strings = {"Parallelism", "RowOffset"})
  void aWorkerReadsWhatTheDriverPlanned(String mode) throws Exception {
    TableBatchReadSession session = Clients.reading("ramp").withSplitOptions(options(mode)).buildBatchReadSession();
    List<byte[]> shipped = new ArrayList<>();
    for (InputSplit split : Rows.splits(session)) {
      shipped.add(Shipped.bytes(split));
    }
    assertEquals(4, shipped.size());
    byte[] planned = Shipped.bytes(session);
    List<Future<List<Object>>> pieces = new ArrayList<>();
    ExecutorService workers = Executors.newFixedThreadPool(4);
    try {
      for (byte[] split : shipped) {
        pieces.add(
            workers.submit(
                () -> {
                  TableBatchReadSession copy = (TableBatchReadSession) Shipped.object(planned);
                  return Rows.column(Rows.of(copy, (InputSplit) Shipped.object(split), Rows.options()), "id");
                }));
      }
      List<Object> ids = new ArrayList<>();
      for (Future<List<Object>> piece : pieces) {
        ids.addAll(piece.get());
      }
      assertEquals(Rows.column(Rows.of(session), "id"), ids);
      assertEquals(4000, ids.size());
    } finally {
      workers.shutdownNow();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"Parallelism", "RowOffset"})
  void anotherProcessTakesTheSessionUpByItsId(String mode) throws Exception {
    TableBatchReadSession session = Clients.reading("ramp").withSplitOptions(options(mode)).buildBatchReadSession();
    TableBatchReadSession again = Clients.reading("ramp").withSessionId(session.getId()).buildBatchReadSession();
    assertEquals(session.getId(), again.getId());
    assertEquals(SessionStatus.NORMAL, again.getStatus());
    assertEquals(session.readSchema(), again.readSchema());
    List<Map<String, Object>> rows = Rows.of(again);
    assertEquals(Rows.column(Rows.of(session), "id"), Rows.column(rows, "id"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"Parallelism", "RowOffset"})
  void aSessionTravelsAsJson(String mode) throws Exception {
    TableBatchReadSession session = Clients.reading("ramp").withSplitOptions(options(mode)).buildBatchReadSession();
    String shipped = ((TableBatchReadSessionImpl) session).toJson();
    TableBatchReadSession copy = new TableReadSessionBuilder().fromJson(shipped).withSettings(Clients.settings()).buildBatchReadSession();
    assertEquals(session.getId(), copy.getId());
    assertEquals(session.readSchema(), copy.readSchema());
    assertEquals(Rows.column(Rows.of(session), "id"), Rows.column(Rows.of(copy), "id"));
  }

  @Test
  void aSplitReadTwiceIsTheSame() throws Exception {
    TableBatchReadSession session = Clients.reading("ramp").withSplitOptions(options("Parallelism")).buildBatchReadSession();
    InputSplit split = Rows.splits(session).get(2);
    List<Map<String, Object>> first = Rows.of(session, split, Rows.options());
    List<Map<String, Object>> second = Rows.of(session, split, Rows.options());
    assertEquals(Rows.column(first, "c_timestamp"), Rows.column(second, "c_timestamp"));
    assertTrue(first.size() > 0);
  }
}
