package maxstorage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.NoSuchObjectException;
import com.aliyun.odps.Odps;
import com.aliyun.odps.PartitionSpec;
import com.aliyun.odps.account.StsAccount;
import com.aliyun.odps.table.TableIdentifier;
import com.aliyun.odps.table.configuration.SplitOptions;
import com.aliyun.odps.table.read.TableBatchReadSession;
import com.aliyun.odps.table.read.TableReadSessionBuilder;
import com.aliyun.odps.table.read.split.impl.IndexedInputSplit;
import com.aliyun.odps.table.read.split.impl.RowRangeInputSplit;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Refusals as the client shows them. */
class ErrorsTest {
  private static IOException refused(TableReadSessionBuilder builder) {
    return assertThrows(IOException.class, () -> builder.withSplitOptions(SplitOptions.createDefault()).buildBatchReadSession());
  }

  @Test
  void noSuchTable() {
    IOException refusal = refused(Clients.reading("nothing"));
    assertTrue(Failures.check(refusal, 404, "NoSuchTable").getMessage().contains("nothing"));
  }

  @Test
  void noSuchProject() {
    // Discovery goes first, and it is the metadata service that knows projects.
    Throwable refusal =
        assertThrows(
            Throwable.class,
            () ->
                new TableReadSessionBuilder()
                    .identifier(TableIdentifier.of("nowhere", "t"))
                    .withSettings(Clients.settings())
                    .withSplitOptions(SplitOptions.createDefault())
                    .buildBatchReadSession());
    assertTrue(Failures.service(refusal) instanceof NoSuchObjectException, refusal.toString());
    Failures.check(refusal, 404, "NoSuchObject");
  }

  @Test
  void noSuchColumn() {
    IOException refusal = refused(Clients.reading("ramp").requiredDataColumns(List.of("id", "c_nothing")));
    assertTrue(Failures.check(refusal, 400, "InvalidColumnSpec").getMessage().contains("c_nothing"));
  }

  @Test
  void noSuchPartition() {
    IOException refusal = refused(Clients.reading("parted").requiredPartitions(List.of(new PartitionSpec("ds=1,region=x"))));
    Failures.check(refusal, 404, "NoSuchPartition");
  }

  @Test
  void partitionsOfATableWithoutPartitions() {
    Failures.check(refused(Clients.reading("ramp").requiredPartitions(List.of(new PartitionSpec("ds=1")))), 400, "InvalidPartitionSpec");
  }

  @Test
  void bucketsOfATableWithoutBuckets() {
    Failures.check(refused(Clients.reading("ramp").requiredBucketIds(List.of(0))), 400, "InvalidArgument");
  }

  /**
   * The code of a wrong signature is seen on calls without a body. On those with one the JDK drops every answer of status 401 ("cannot
   * retry due to server authentication, in streaming mode"), and the client says no more than that the connection is invalid.
   */
  @Test
  void aWrongSecret() {
    Odps odps = Clients.odps(Clients.SERVICE, "local", "wrong");
    Throwable refusal =
        assertThrows(
            Throwable.class,
            () ->
                new TableReadSessionBuilder()
                    .identifier(Clients.table("ramp"))
                    .withSettings(Clients.settings(odps, "pay-as-you-go"))
                    .withSplitOptions(SplitOptions.createDefault())
                    .buildBatchReadSession());
    Failures.check(refusal, 401, "SignatureNotMatch");
  }

  @Test
  void anUnknownAccount() {
    Odps odps = new Odps(new StsAccount("nobody", "secret", "token"));
    odps.setDefaultProject("local");
    odps.setEndpoint(Clients.SERVICE.endpoint());
    Throwable refusal = assertThrows(Throwable.class, () -> odps.tables().get("ramp").reload());
    Failures.check(refusal, 401, "Unauthorized");
  }

  @Test
  void noSuchSession() {
    IOException refusal =
        assertThrows(IOException.class, () -> Clients.reading("ramp").withSessionId("nothing").buildBatchReadSession());
    assertEquals(404, Failures.service(refusal).getStatus());
  }

  @Test
  void noSuchSplit() throws Exception {
    TableBatchReadSession session = Clients.reading("ramp").withSplitOptions(SplitOptions.createDefault()).buildBatchReadSession();
    Throwable refusal =
        assertThrows(
            Throwable.class, () -> Rows.of(session, new IndexedInputSplit(session.getId(), 99), Rows.options()));
    Failures.check(refusal, 400, "InvalidArgument");
  }

  @Test
  void rowsPastTheEnd() throws Exception {
    TableBatchReadSession session =
        Clients.reading("ramp").withSplitOptions(SplitOptions.newBuilder().SplitByRowOffset().build()).buildBatchReadSession();
    Throwable refusal =
        assertThrows(
            Throwable.class, () -> Rows.of(session, new RowRangeInputSplit(session.getId(), 3999, 2), Rows.options()));
    Failures.check(refusal, 400, "InvalidRowRange");
  }
}
