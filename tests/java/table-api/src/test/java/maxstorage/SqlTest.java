package maxstorage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.Column;
import com.aliyun.odps.Instance;
import com.aliyun.odps.Odps;
import com.aliyun.odps.OdpsException;
import com.aliyun.odps.Partition;
import com.aliyun.odps.PartitionSpec;
import com.aliyun.odps.Project;
import com.aliyun.odps.Table;
import com.aliyun.odps.TableSchema;
import com.aliyun.odps.data.Record;
import com.aliyun.odps.data.ResultSet;
import com.aliyun.odps.task.SQLTask;
import com.aliyun.odps.type.TypeInfoFactory;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Metadata, tables made by the client, statements, and their results in each of the ways that the client has. */
class SqlTest {
  private final Odps odps = Clients.odps();

  @Test
  void theProject() throws Exception {
    Project project = odps.projects().get("local");
    project.reload();
    assertEquals("local", project.getName());
    assertEquals(Project.Status.AVAILABLE, project.getStatus());
    assertNotNull(project.getOwner());
    assertNotNull(project.getCreatedTime());
    assertTrue(odps.projects().exists("local"));
    assertFalse(odps.projects().exists("nowhere"));
    assertTrue(project.getTunnelEndpoint().startsWith("http://127.0.0.1:") || project.getTunnelEndpoint().startsWith("http://localhost:"));
  }

  @Test
  void tablesAreMadeListedAndDropped() throws Exception {
    String name = "sql_made_" + ProcessHandle.current().pid();
    TableSchema schema = new TableSchema();
    schema.addColumn(new Column("id", TypeInfoFactory.BIGINT, "the key"));
    schema.addColumn(new Column("name", TypeInfoFactory.STRING));
    schema.addColumn(new Column("amount", TypeInfoFactory.getDecimalTypeInfo(10, 2)));
    schema.addColumn(new Column("tags", TypeInfoFactory.getArrayTypeInfo(TypeInfoFactory.STRING)));
    schema.addPartitionColumn(new Column("ds", TypeInfoFactory.STRING));
    assertFalse(odps.tables().exists(name));
    odps.tables().newTableCreator("local", name, schema).withComment("a comment").withLifeCycle(7L).ifNotExists().create();
    odps.tables().newTableCreator("local", name, schema).ifNotExists().create(); // says nothing the second time
    assertThrows(OdpsException.class, () -> odps.tables().newTableCreator("local", name, schema).create());

    Table table = odps.tables().get(name);
    table.reload();
    assertEquals("a comment", table.getComment());
    assertEquals(7, table.getLife());
    assertEquals(Table.TableType.MANAGED_TABLE, table.getType());
    assertTrue(table.isPartitioned());
    assertEquals("the key", table.getSchema().getColumn("id").getComment());
    assertEquals("DECIMAL(10,2)", table.getSchema().getColumn("amount").getTypeInfo().getTypeName());
    assertEquals("ARRAY<STRING>", table.getSchema().getColumn("tags").getTypeInfo().getTypeName());
    assertEquals("ds", table.getSchema().getPartitionColumns().get(0).getName());

    Set<String> names = new HashSet<>();
    odps.tables().iterator().forEachRemaining(listed -> names.add(listed.getName()));
    assertTrue(names.containsAll(List.of(name, "lineitem", "ramp", "parted")), names.toString());

    odps.tables().delete(name);
    assertFalse(odps.tables().exists(name));
    assertThrows(OdpsException.class, () -> odps.tables().delete(name));
    odps.tables().delete(name, true);
  }

  @Test
  void partitionsAreMadeListedAndDropped() throws Exception {
    Table table = odps.tables().get(Clients.create("(id bigint) partitioned by (ds string, hh bigint)"));
    table.createPartition(new PartitionSpec("ds=20260101,hh=1"));
    table.createPartition(new PartitionSpec("ds=20260101,hh=2"));
    table.createPartition(new PartitionSpec("ds=20260102,hh=1"));
    table.createPartition(new PartitionSpec("ds=20260102,hh=1"), true);
    assertThrows(OdpsException.class, () -> table.createPartition(new PartitionSpec("ds=20260102,hh=1")));
    assertTrue(table.hasPartition(new PartitionSpec("ds=20260101,hh=2")));
    assertFalse(table.hasPartition(new PartitionSpec("ds=20260101,hh=3")));
    assertEquals(3, table.getPartitions().size());
    List<String> first = new ArrayList<>();
    table.getPartitionIterator(new PartitionSpec("ds=20260101")).forEachRemaining(partition -> first.add(partition.getPartitionSpec().toString()));
    assertEquals(List.of("ds='20260101',hh='1'", "ds='20260101',hh='2'"), first);
    Partition partition = table.getPartition(new PartitionSpec("ds=20260101,hh=1"));
    partition.reload();
    assertNotNull(partition.getCreatedTime());
    table.deletePartition(new PartitionSpec("ds=20260101,hh=1"));
    assertEquals(2, table.getPartitions().size());
    table.deletePartition(new PartitionSpec("ds=20260101,hh=1"), true);
  }

  @Test
  void statementsChangeTables() throws Exception {
    String name = Clients.create("(id bigint, name string)");
    Clients.sql(
        "insert into table " + name + " values (1, 'one'), (2, null), (3, 'it''s');",
        "insert into " + name + " select id, c_string from ramp where id < 3;");
    assertEquals(6, select("select * from " + name + ";").size());
    Clients.sql("insert overwrite table " + name + " values (9, 'nine');");
    assertEquals("nine", select("select * from " + name + ";").get(0).getString("name"));
    odps.tables().get(name).truncate();
    assertEquals(0, select("select * from " + name + ";").size());
    Clients.sql("drop table " + name + ";");
    assertFalse(odps.tables().exists(name));
  }

  private List<Record> select(String statement) throws Exception {
    return SQLTask.getResult(Clients.sql(statement));
  }

  @Test
  void theResultOfASelect() throws Exception {
    Instance instance = Clients.sql("select id, c_string, c_decimal from ramp where id >= 11 and id < 14 order by id limit 10;");
    assertTrue(instance.isSuccessful());
    assertTrue(instance.isTerminated());
    assertNotNull(instance.getStartTime());
    assertNotNull(instance.getEndTime());
    List<Record> rows = SQLTask.getResult(instance);
    assertEquals(3, rows.size());
    assertEquals("it's 0012", rows.get(1).getString("c_string"));
    assertEquals("12", String.valueOf(rows.get(1).get("id")));

    ResultSet set = SQLTask.getResultSet(instance);
    assertEquals(3, set.getRecordCount());
    assertEquals(List.of("id", "c_string", "c_decimal"), set.getTableSchema().getColumns().stream().map(Column::getName).toList());
    List<Object> ids = new ArrayList<>();
    while (set.hasNext()) {
      Record row = set.next();
      ids.add(row.getBigint("id"));
      assertEquals(0, new java.math.BigDecimal(row.getBigint("id") * 25 - 50000).movePointLeft(2).compareTo(row.getDecimal("c_decimal")));
    }
    assertEquals(List.of(11L, 12L, 13L), ids);

    List<Record> tunnelled = SQLTask.getResultByInstanceTunnel(instance, 2L);
    assertEquals(2, tunnelled.size());
  }

  @Test
  void aSelectOfManyRows() throws Exception {
    Instance instance = Clients.sql("select * from lineitem;");
    ResultSet set = SQLTask.getResultSet(instance);
    assertEquals(60175, set.getRecordCount());
    long rows = 0;
    while (set.hasNext()) {
      set.next();
      rows++;
    }
    assertEquals(60175, rows);
  }

  @Test
  void failuresCarryTheirNumber() throws Exception {
    OdpsException broken = assertThrows(OdpsException.class, () -> Clients.sql("selekt 1;"));
    assertTrue(broken.getMessage().contains("ODPS-0130161"), broken.getMessage());
    OdpsException missing = assertThrows(OdpsException.class, () -> Clients.sql("select * from nothing;"));
    assertTrue(missing.getMessage().contains("ODPS-0130131"), missing.getMessage());
  }

  @Test
  void instancesAreFoundAgain() throws Exception {
    Instance instance = Clients.sql("select 1 as one;");
    assertTrue(odps.instances().exists(instance.getId()));
    Instance again = odps.instances().get(instance.getId());
    assertEquals(Instance.Status.TERMINATED, again.getStatus());
    assertEquals("1", String.valueOf(SQLTask.getResult(again).get(0).get(0)));
    assertFalse(odps.instances().exists("20200101000000000gnothing"));
  }
}
