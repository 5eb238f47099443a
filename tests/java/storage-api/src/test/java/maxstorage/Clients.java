package maxstorage;

import com.aliyun.credentials.api.ICredentials;
import com.aliyun.credentials.api.ICredentialsProvider;
import com.aliyun.odps.Instance;
import com.aliyun.odps.Odps;
import com.aliyun.odps.OdpsException;
import com.aliyun.odps.account.AliyunAccount;
import com.aliyun.odps.data.Record;
import com.aliyun.odps.data.RecordReader;
import com.aliyun.odps.storage.MaxStorageClient;
import com.aliyun.odps.table.TableIdentifier;
import com.aliyun.odps.table.arrow.ArrowReader;
import com.aliyun.odps.task.SQLTask;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

/** The client under test, metadata and SQL beside it, and rows as Java values. */
final class Clients {
  static final String PROJECT = "local";
  static final Service SERVICE = Service.shared();
  private static final AtomicInteger TABLES = new AtomicInteger();

  private Clients() {}

  static MaxStorageClient client() {
    return client("local", "local");
  }

  static MaxStorageClient client(String accessId, String accessKey) {
    return MaxStorageClient.builder()
        .endpoint(SERVICE.endpoint())
        .project(PROJECT)
        .quota("pay-as-you-go")
        .credentialsProvider(new Keys(accessId, accessKey))
        .build();
  }

  static TableIdentifier table(String name) {
    return TableIdentifier.of(PROJECT, name);
  }

  /** Creates a table with a name of its own: `columns` is what follows the name. */
  static TableIdentifier create(String columns) throws OdpsException {
    String name = "v3_" + ProcessHandle.current().pid() + "_" + TABLES.incrementAndGet();
    sql("create table " + name + " " + columns + ";");
    return table(name);
  }

  static Instance sql(String statement) throws OdpsException {
    Odps odps = new Odps(new AliyunAccount("local", "local"));
    odps.setDefaultProject(PROJECT);
    odps.setEndpoint(SERVICE.endpoint());
    Instance instance = SQLTask.run(odps, statement);
    instance.waitForSuccess(100);
    return instance;
  }

  static List<Map<String, Object>> rows(ArrowReader reader) throws IOException {
    List<Map<String, Object>> rows = new ArrayList<>();
    try (RecordReader records = reader.getAsRecordReader()) {
      for (Record record = records.read(); record != null; record = records.read()) {
        Map<String, Object> row = new LinkedHashMap<>();
        for (int column = 0; column < record.getColumnCount(); column++) {
          row.put(record.getColumns()[column].getName(), record.get(column));
        }
        rows.add(row);
      }
    }
    return rows;
  }

  private record Keys(String id, String secret) implements ICredentialsProvider, ICredentials {
    @Override
    public ICredentials getCredentials() {
      return this;
    }

    @Override
    public String getAccessKeyId() {
      return id;
    }

    @Override
    public String getAccessKeySecret() {
      return secret;
    }

    @Override
    public String getSecurityToken() {
      return null;
    }

    @Override
    public String getProviderName() {
      return "test";
    }

    @Override
    public void close() {}
  }
}
