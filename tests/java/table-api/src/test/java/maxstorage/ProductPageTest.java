package maxstorage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.Odps;
import com.aliyun.odps.account.Account;
import com.aliyun.odps.account.AliyunAccount;
import com.aliyun.odps.data.ArrayRecord;
import com.aliyun.odps.table.DataFormat;
import com.aliyun.odps.table.TableIdentifier;
import com.aliyun.odps.table.configuration.ReaderOptions;
import com.aliyun.odps.table.configuration.SplitOptions;
import com.aliyun.odps.table.enviroment.Credentials;
import com.aliyun.odps.table.enviroment.EnvironmentSettings;
import com.aliyun.odps.table.read.SplitReader;
import com.aliyun.odps.table.read.TableBatchReadSession;
import com.aliyun.odps.table.read.TableReadSessionBuilder;
import com.aliyun.odps.table.read.split.InputSplitAssigner;
import org.apache.arrow.vector.BigIntVector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.junit.jupiter.api.Test;

/** The code of the product page, word for word where the page has the words, over Arrow batches and over records. */
class ProductPageTest {
  @Test
  void theCodeOfTheProductPageReadsATable() throws Exception {
    String accessId = "local";
    String accessKey = "local";
    String quotaName = "pay-as-you-go";
    String project = "local";
    String endpoint = Clients.SERVICE.endpoint();

    Account account = new AliyunAccount(accessId, accessKey);
    Odps odps = new Odps(account);
    odps.setDefaultProject(project);
    odps.setEndpoint(endpoint);
    Credentials credentials =
        Credentials.newBuilder().withAccount(odps.getAccount()).withAppAccount(odps.getAppAccount()).build();
    EnvironmentSettings settings =
        EnvironmentSettings.newBuilder()
            .withCredentials(credentials)
            .withServiceEndpoint(odps.getEndpoint())
            .withQuotaName(quotaName)
            .build();

    TableBatchReadSession session =
        new TableReadSessionBuilder()
            .identifier(TableIdentifier.of(project, "lineitem"))
            .withSettings(settings)
            .withSplitOptions(SplitOptions.createDefault())
            .buildBatchReadSession();
    assertTrue(session.supportsDataFormat(new DataFormat(DataFormat.Type.ARROW, DataFormat.Version.V5)));

    InputSplitAssigner assigner = session.getInputSplitAssigner();
    ReaderOptions options = ReaderOptions.newBuilder().withSettings(settings).build();
    long rows = 0;
    long orderKeys = 0;
    for (int index = 0; index < assigner.getSplitsCount(); index++) {
      try (SplitReader<VectorSchemaRoot> reader = session.createArrowReader(assigner.getSplit(index), options)) {
        while (reader.hasNext()) {
          VectorSchemaRoot batch = reader.get();
          rows += batch.getRowCount();
          BigIntVector keys = (BigIntVector) batch.getVector("l_orderkey");
          for (int row = 0; row < batch.getRowCount(); row++) {
            orderKeys += keys.get(row);
          }
        }
      }
    }
    assertEquals(60175, rows); // TPC-H says how many lines scale 0.01 has

    long rowsOfRecords = 0;
    long orderKeysOfRecords = 0;
    for (int index = 0; index < assigner.getSplitsCount(); index++) {
      try (SplitReader<ArrayRecord> reader = session.createRecordReader(assigner.getSplit(index), options)) {
        while (reader.hasNext()) {
          rowsOfRecords++;
          orderKeysOfRecords += reader.get().getBigint("l_orderkey");
        }
      }
    }
    assertEquals(rows, rowsOfRecords);
    assertEquals(orderKeys, orderKeysOfRecords);
  }

  @Test
  void aTableObjectOfTheMetadataServesAsWell() throws Exception {
    Odps odps = Clients.odps();
    TableBatchReadSession session =
        new TableReadSessionBuilder().table(odps.tables().get("region")).withSettings(Clients.settings()).buildBatchReadSession();
    assertEquals(5, Rows.of(session).size());
  }
}
