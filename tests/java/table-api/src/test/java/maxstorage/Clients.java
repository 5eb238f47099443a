package maxstorage;

import com.aliyun.odps.Instance;
import com.aliyun.odps.Odps;
import com.aliyun.odps.OdpsException;
import com.aliyun.odps.account.AliyunAccount;
import com.aliyun.odps.table.TableIdentifier;
import com.aliyun.odps.table.configuration.RestOptions;
import com.aliyun.odps.table.enviroment.Credentials;
import com.aliyun.odps.table.enviroment.EnvironmentSettings;
import com.aliyun.odps.table.read.TableReadSessionBuilder;
import com.aliyun.odps.table.write.TableWriteSessionBuilder;
import com.aliyun.odps.task.SQLTask;
import java.util.concurrent.atomic.AtomicInteger;

/** The official client, set up as the product page does it. */
final class Clients {
  static final String PROJECT = "local";
  static final Service SERVICE = Service.shared();

  private static final AtomicInteger TABLES = new AtomicInteger();

  private Clients() {}

  static Odps odps() {
    return odps(SERVICE, "local", "local");
  }

  static Odps odps(Service service, String accessId, String accessKey) {
    Odps odps = new Odps(new AliyunAccount(accessId, accessKey));
    odps.setDefaultProject(PROJECT);
    odps.setEndpoint(service.endpoint());
    return odps;
  }

  static EnvironmentSettings settings() {
    return settings(odps(), "pay-as-you-go");
  }

  static EnvironmentSettings settings(Odps odps, String quotaName) {
    Credentials credentials =
        Credentials.newBuilder().withAccount(odps.getAccount()).withAppAccount(odps.getAppAccount()).build();
    // Without these an answer that asks for a repetition would make the client sleep for minutes.
    RestOptions patience = RestOptions.newBuilder().withRetryTimes(1).withRetryWaitTimeInSeconds(1).withAsyncIntervalInMillis(50).build();
    return EnvironmentSettings.newBuilder()
        .withCredentials(credentials)
        .withServiceEndpoint(odps.getEndpoint())
        .withQuotaName(quotaName)
        .withRestOptions(patience)
        .build();
  }

  /** Runs statements one after the other, each to its end. */
  static Instance sql(String... statements) throws OdpsException {
    Instance instance = null;
    for (String statement : statements) {
      instance = SQLTask.run(odps(), statement);
      instance.waitForSuccess(50);
    }
    return instance;
  }

  /** Creates a table with a name of its own; `columns` is what follows the name in the statement. */
  static String create(String columns) throws OdpsException {
    String name = "java_" + ProcessHandle.current().pid() + "_" + TABLES.incrementAndGet();
    sql("create table " + name + " " + columns + ";");
    return name;
  }

  static TableIdentifier table(String name) {
    return TableIdentifier.of(PROJECT, name);
  }

  static TableReadSessionBuilder reading(String name) {
    return new TableReadSessionBuilder().identifier(table(name)).withSettings(settings());
  }

  static TableWriteSessionBuilder writing(String name) {
    return new TableWriteSessionBuilder().identifier(table(name)).withSettings(settings());
  }
}
