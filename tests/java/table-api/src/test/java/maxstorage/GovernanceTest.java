package maxstorage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.Odps;
import com.aliyun.odps.OdpsException;
import com.aliyun.odps.Quota;
import com.aliyun.odps.TenantSecurityManager;
import com.aliyun.odps.security.SecurityManager;
import com.aliyun.odps.table.configuration.SplitOptions;
import com.aliyun.odps.table.read.TableBatchReadSession;
import com.aliyun.odps.table.read.TableReadSessionBuilder;
import com.aliyun.odps.task.SQLTask;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * "By default, no accounts, including Alibaba Cloud accounts or roles, have the permissions to specify a quota at the job level": denied
 * before the grant, allowed after it, with the statements and the policy of the product page, on a service with all checks on.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
@Execution(ExecutionMode.SAME_THREAD)
class GovernanceTest {
  private static final String POLICY =
      "{ \"Statement\": [{ \"Action\": [ \"odps:List\", \"odps:Usage\"], \"Effect\": \"Allow\","
          + " \"Resource\": [\"acs:odps:*:regions/*/quotas/pay-as-you-go\"]}], \"Version\": \"1\" }";

  private Service service;
  private Odps owner;
  private Odps user;

  @BeforeAll
  void start() throws Exception {
    service = Service.start("--profile", "strict");
    owner = Clients.odps(service, "local", "local");
    user = Clients.odps(service, "ada", "secret");
    run(owner, "create table t (id bigint, name string);");
    run(owner, "insert into t values (1, 'one'), (2, 'two');");
  }

  @AfterAll
  void stop() {
    service.close();
  }

  private static String run(Odps odps, String statement) throws OdpsException {
    var instance = SQLTask.run(odps, statement);
    instance.waitForSuccess(50);
    return String.join("\n", instance.getTaskResults().values());
  }

  private int rows(Odps as, String quota) throws Exception {
    TableBatchReadSession session =
        new TableReadSessionBuilder()
            .identifier(Clients.table("t"))
            .withSettings(Clients.settings(as, quota))
            .withSplitOptions(SplitOptions.createDefault())
            .buildBatchReadSession();
    int rows = 0;
    for (var split : Rows.splits(session)) {
      rows += Rows.of(session, split, com.aliyun.odps.table.configuration.ReaderOptions.newBuilder().withSettings(Clients.settings(as, quota)).build()).size();
    }
    return rows;
  }

  private OdpsException denied(Odps as, String quota) {
    return Failures.check(assertThrows(Exception.class, () -> rows(as, quota)), 403, "NoPermission");
  }

  @Test
  @Order(1)
  void theSwitchIsOffAtFirst() throws Exception {
    String off = denied(owner, "pay-as-you-go").getMessage();
    run(owner, "set tenant property storage_api_switch=true;");
    String on = denied(owner, "pay-as-you-go").getMessage();
    assertTrue(!off.equals(on), "the two refusals say the same: " + off);
    assertTrue(on.contains("pay-as-you-go"), on);
  }

  @Test
  @Order(2)
  void theAccountIsAllowedAfterTheGrant() throws Exception {
    TenantSecurityManager tenant = owner.tenant().getTenantSecurityManager();
    tenant.run("create tenant role storage_readers;", false);
    tenant.putTenantRolePolicy("storage_readers", POLICY);
    assertTrue(tenant.getTenantRolePolicy("storage_readers").contains("quotas/pay-as-you-go"));
    assertThrows(Exception.class, () -> rows(owner, "pay-as-you-go"));

    // The words of the page.
    String account = whoAmI(owner);
    run(owner, "Add tenant user " + account + ";");
    run(owner, "Grant tenant role storage_readers to user " + account + ";");
    assertTrue(run(owner, "Show grants for tenant role storage_readers;").contains("pay-as-you-go"));
    assertTrue(run(owner, "Show grants for tenant user " + account + ";").contains("storage_readers"));
    assertTrue(run(owner, "Show principals for tenant role storage_readers;").contains(account));
    assertEquals(2, rows(owner, "pay-as-you-go"));
  }

  @Test
  @Order(3)
  void aUserNeedsTheProjectTheTableAndTheQuota() throws Exception {
    // Nobody knows the key yet.
    Failures.check(assertThrows(Exception.class, () -> rows(user, "pay-as-you-go")), 401, "Unauthorized");
    String name = "RAM$" + whoAmI(owner).substring("ALIYUN$".length()) + ":ada";
    run(owner, "create access key 'ada' secret 'secret' for user " + name + ";");
    denied(user, "pay-as-you-go"); // not in the project
    SecurityManager security = owner.projects().get("local").getSecurityManager();
    security.runQuery("add user " + name, false);
    denied(user, "pay-as-you-go"); // may not name the quota
    run(owner, "add tenant user " + name + ";");
    run(owner, "grant tenant role storage_readers to user " + name + ";");
    denied(user, "pay-as-you-go"); // may not read the table
    security.runQuery("grant Describe, Select on table t to user " + name, false);
    assertEquals(2, rows(user, "pay-as-you-go"));
    assertTrue(security.runQuery("show grants for " + name, false).contains("Select"));

    security.runQuery("revoke Select on table t from user " + name, false);
    denied(user, "pay-as-you-go");
    security.runQuery("grant Select on table t to user " + name, false);
    run(owner, "revoke tenant role storage_readers from user " + name + ";");
    denied(user, "pay-as-you-go");
  }

  @Test
  @Order(4)
  void anUnknownQuotaIsNamed() {
    OdpsException refusal = Failures.service(assertThrows(Exception.class, () -> rows(owner, "no_such_quota")));
    assertTrue(refusal.getMessage().contains("no_such_quota"), refusal.toString());
  }

  private static String whoAmI(Odps odps) throws Exception {
    String answer = odps.projects().get("local").getSecurityManager().runQuery("whoami", false);
    return answer.lines().filter(line -> line.startsWith("Name: ")).findFirst().orElseThrow().substring("Name: ".length()).trim();
  }

  @Test
  @Order(9)
  void aQuotaIsDescribed() throws Exception {
    Quota quota = owner.quotas().get("pay-as-you-go");
    quota.reload();
    assertEquals("pay-as-you-go", quota.getNickname());
    assertEquals(Quota.Strategy.NoPreempt, quota.getStrategy());
    assertEquals(Quota.Status.ON, quota.getStatus());
  }
}
