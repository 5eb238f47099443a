package maxstorage;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.aliyun.odps.table.configuration.ReaderOptions;
import com.aliyun.odps.table.configuration.SplitOptions;
import com.aliyun.odps.table.configuration.WriterOptions;
import com.aliyun.odps.table.read.TableBatchReadSession;
import com.aliyun.odps.table.read.TableReadSessionBuilder;
import com.aliyun.odps.table.write.BatchWriter;
import com.aliyun.odps.table.write.TableBatchWriteSession;
import com.aliyun.odps.table.write.TableWriteSessionBuilder;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** docs/sdk-conformance.md names every call of the client's classes. */
class PageTest {
  @Test
  void everyCallIsOnThePage() {
    String section = "Java: odps-sdk-table-api";
    for (Class<?> kind :
        new Class<?>[] {
          TableReadSessionBuilder.class, TableBatchReadSession.class, TableWriteSessionBuilder.class, TableBatchWriteSession.class, BatchWriter.class
        }) {
      assertEquals(Set.of(), Page.missing(section, kind, kind.getSimpleName()));
    }
    assertEquals(Set.of(), Page.missing(section, SplitOptions.Builder.class, "SplitOptions"));
    assertEquals(Set.of(), Page.missing(section, ReaderOptions.Builder.class, "ReaderOptions"));
    assertEquals(Set.of(), Page.missing(section, WriterOptions.Builder.class, "WriterOptions"));
  }
}
