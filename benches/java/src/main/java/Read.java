import com.aliyun.odps.Odps;
import com.aliyun.odps.account.AliyunAccount;
import com.aliyun.odps.table.TableIdentifier;
import com.aliyun.odps.table.configuration.CompressionCodec;
import com.aliyun.odps.table.configuration.ReaderOptions;
import com.aliyun.odps.table.configuration.SplitOptions;
import com.aliyun.odps.table.enviroment.Credentials;
import com.aliyun.odps.table.enviroment.EnvironmentSettings;
import com.aliyun.odps.table.read.SplitReader;
import com.aliyun.odps.table.read.TableBatchReadSession;
import com.aliyun.odps.table.read.TableReadSessionBuilder;
import com.aliyun.odps.table.read.split.InputSplitAssigner;
import org.apache.arrow.vector.VectorSchemaRoot;

/**
 * Reads a table of project `local` with the official client, throws the batches away and prints how many rows there were:
 * `Read SERVICE TABLE COMPRESSION BATCH-ROWS TIMES`.
 */
public final class Read {
  private Read() {}

  public static void main(String[] arguments) throws Exception {
    Odps odps = new Odps(new AliyunAccount("local", "local"));
    odps.setDefaultProject("local");
    odps.setEndpoint(arguments[0] + "/api");
    Credentials credentials = Credentials.newBuilder().withAccount(odps.getAccount()).withAppAccount(odps.getAppAccount()).build();
    EnvironmentSettings settings =
        EnvironmentSettings.newBuilder()
            .withCredentials(credentials)
            .withServiceEndpoint(odps.getEndpoint())
            .withQuotaName("pay-as-you-go")
            .build();
    CompressionCodec codec =
        switch (arguments[2]) {
          case "none" -> CompressionCodec.NO_COMPRESSION;
          case "lz4" -> CompressionCodec.LZ4_FRAME;
          case "zstd" -> CompressionCodec.ZSTD;
          default -> throw new IllegalArgumentException(arguments[2]);
        };
    ReaderOptions options =
        ReaderOptions.newBuilder()
            .withSettings(settings)
            .withCompressionCodec(codec)
            .withMaxBatchRowCount(Integer.parseInt(arguments[3]))
            .build();
    TableBatchReadSession session =
        new TableReadSessionBuilder()
            .identifier(TableIdentifier.of("local", arguments[1]))
            .withSettings(settings)
            .withSplitOptions(SplitOptions.newBuilder().SplitByParallelism(1).build())
            .buildBatchReadSession();
    InputSplitAssigner splits = session.getInputSplitAssigner();
    long rows = 0;
    for (int time = 0; time < Integer.parseInt(arguments[4]); time++) {
      for (int index = 0; index < splits.getSplitsCount(); index++) {
        try (SplitReader<VectorSchemaRoot> reader = session.createArrowReader(splits.getSplit(index), options)) {
          while (reader.hasNext()) {
            rows += reader.get().getRowCount();
          }
        }
      }
    }
    System.out.println("{\"rows\": " + rows + "}");
    System.exit(0); // the client leaves threads behind
  }
}
