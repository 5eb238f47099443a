package maxstorage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.PartitionSpec;
import com.aliyun.odps.data.ArrowRecordReader;
import com.aliyun.odps.data.Record;
import com.aliyun.odps.data.RecordReader;
import com.aliyun.odps.data.RecordWriter;
import com.aliyun.odps.tunnel.InstanceTunnel;
import com.aliyun.odps.tunnel.TableTunnel;
import com.aliyun.odps.tunnel.TunnelException;
import com.aliyun.odps.tunnel.io.CompressOption;
import com.aliyun.odps.tunnel.io.TunnelBufferedWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The classic tunnel: upload and download sessions of records, as far as the client's own flows go. */
class TunnelTest {
  private final TableTunnel tunnel = new TableTunnel(Clients.odps());

  private static List<Record> records(RecordReader reader) throws Exception {
    List<Record> records = new ArrayList<>();
    try (reader) {
      for (Record record = reader.read(); record != null; record = reader.read()) {
        records.add(record);
      }
    }
    return records;
  }

  private static List<Object> ids(List<Record> records) {
    return records.stream().<Object>map(record -> record.getBigint("id")).sorted().toList();
  }

  private static List<Object> range(long from, long to) {
    return LongStream.range(from, to).<Object>mapToObj(id -> id).toList();
  }

  private List<Record> download(String table) throws Exception {
    TableTunnel.DownloadSession session = tunnel.createDownloadSession("local", table);
    return records(session.openRecordReader(0, session.getRecordCount()));
  }

  private static void write(RecordWriter writer, TableTunnel.UploadSession session, long from, long to) throws Exception {
    try (writer) {
      for (long id = from; id < to; id++) {
        Record record = session.newRecord();
        record.setBigint("id", id);
        if (id % 7 != 3) {
          record.setString("name", "n" + id);
        }
        writer.write(record);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = CompressOption.CompressAlgorithm.class,
      names = {"ODPS_RAW", "ODPS_ZLIB", "ODPS_SNAPPY", "ODPS_LZ4_FRAME", "ODPS_ZSTD"})
  void recordsGoUpAndComeDown(CompressOption.CompressAlgorithm algorithm) throws Exception {
    String table = Clients.create("(id bigint, name string)");
    CompressOption option = new CompressOption(algorithm, 1, 0);
    TableTunnel.UploadSession upload = tunnel.createUploadSession("local", table);
    write(upload.openRecordWriter(0, option), upload, 0, 1000);
    write(upload.openRecordWriter(1, option), upload, 1000, 1500);
    assertEquals(List.of(), ids(download(table)));
    upload.commit(new Long[] {0L, 1L});
    TableTunnel.DownloadSession session = tunnel.createDownloadSession("local", table);
    assertEquals(1500, session.getRecordCount());
    List<Record> records = records(session.openRecordReader(0, 1500, option));
    assertEquals(range(0, 1500), ids(records));
    for (Record record : records) {
      long id = record.getBigint("id");
      assertEquals(id % 7 == 3 ? null : "n" + id, record.getString("name"));
    }
    assertEquals(range(1400, 1500), ids(records(session.openRecordReader(1400, 100, option))));
  }

  @Test
  void everyTypeComesDown() throws Exception {
    TableTunnel.DownloadSession session = tunnel.createDownloadSession("local", "many_rows");
    assertEquals(20000, session.getRecordCount());
    List<Record> records =
        records(
            session.openRecordReader(
                0, 8, false, session.getSchema().getColumns().stream().filter(column -> !column.getName().matches("c_months|c_day_time")).toList()));
    assertEquals(8, records.size());
    for (int row = 0; row < 8; row++) {
      Record record = records.get(row);
      java.util.Map<String, Object> values = new java.util.LinkedHashMap<>();
      for (String name : AllTypes.VALUES.keySet()) {
        values.put(name, record.get(name));
      }
      AllTypes.assertRow(row % 4, values);
    }
  }

  @Test
  void onePartition() throws Exception {
    String table = Clients.create("(id bigint, name string) partitioned by (ds string)");
    PartitionSpec partition = new PartitionSpec("ds=20260101");
    Clients.sql("alter table " + table + " add partition (ds='20260101');");
    TableTunnel.UploadSession upload = tunnel.createUploadSession("local", table, partition);
    write(upload.openRecordWriter(0), upload, 0, 50);
    upload.commit(new Long[] {0L});
    TableTunnel.DownloadSession session = tunnel.createDownloadSession("local", table, partition);
    assertEquals(range(0, 50), ids(records(session.openRecordReader(0, 50))));
    assertThrows(TunnelException.class, () -> tunnel.createDownloadSession("local", table, new PartitionSpec("ds=x")));
  }

  @Test
  void overwriting() throws Exception {
    String table = Clients.create("(id bigint, name string)");
    for (int round = 0; round < 2; round++) {
      TableTunnel.UploadSession upload = tunnel.createUploadSession("local", table, true);
      write(upload.openRecordWriter(0), upload, round * 10, round * 10 + 5);
      upload.commit(new Long[] {0L});
    }
    assertEquals(range(10, 15), ids(download(table)));
  }

  @Test
  void theBufferedWriterCutsBlocksItself() throws Exception {
    String table = Clients.create("(id bigint, name string)");
    TableTunnel.UploadSession upload = tunnel.createUploadSession("local", table);
    try (TunnelBufferedWriter writer = (TunnelBufferedWriter) upload.openBufferedWriter()) {
      writer.setBufferSize(1 << 20);
      for (long id = 0; id < 50000; id++) {
        Record record = upload.newRecord();
        record.setBigint("id", id);
        record.setString("name", "a longer text, so that there are blocks " + id);
        writer.write(record);
      }
    }
    upload.commit();
    assertEquals(50000, tunnel.createDownloadSession("local", table).getRecordCount());
  }

  @Test
  void aCommitMustNameTheBlocksThatThereAre() throws Exception {
    String table = Clients.create("(id bigint, name string)");
    TableTunnel.UploadSession upload = tunnel.createUploadSession("local", table);
    write(upload.openRecordWriter(0), upload, 0, 5);
    assertThrows(TunnelException.class, () -> upload.commit(new Long[] {0L, 1L}));
  }

  @Test
  void arrowComesDown() throws Exception {
    TableTunnel.DownloadSession session = tunnel.createDownloadSession("local", "ramp");
    List<Object> ids = new ArrayList<>();
    try (ArrowRecordReader reader = session.openArrowRecordReader(0, 4000)) {
      for (VectorSchemaRoot batch = reader.read(); batch != null; batch = reader.read()) {
        for (int row = 0; row < batch.getRowCount(); row++) {
          ids.add(batch.getVector("id").getObject(row));
        }
      }
    }
    assertEquals(range(0, 4000), ids);
  }

  @Test
  void resultsOfAnInstance() throws Exception {
    String instance = Clients.sql("select id, c_string from ramp where id < 100;").getId();
    InstanceTunnel.DownloadSession session = new InstanceTunnel(Clients.odps()).createDownloadSession("local", instance);
    assertEquals(100, session.getRecordCount());
    List<Record> records = records(session.openRecordReader(0, 100));
    assertEquals(range(0, 100), ids(records));
    assertEquals("it's 0001", records.get(1).getString("c_string"));
    assertNull(records.get(3).getString("c_string"));
  }

  @Test
  void refusals() {
    TunnelException missing = assertThrows(TunnelException.class, () -> tunnel.createDownloadSession("local", "nothing"));
    assertEquals("NoSuchTable", missing.getErrorCode());
    assertEquals(404, missing.getStatus());
    assertTrue(missing.getRequestId().length() > 8);
    assertEquals("NoSuchTable", assertThrows(TunnelException.class, () -> tunnel.createUploadSession("local", "nothing")).getErrorCode());
  }

}
