package maxstorage;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.aliyun.odps.storage.BlobManager;
import com.aliyun.odps.storage.MaxStorageClient;
import com.aliyun.odps.storage.read.InstanceReadSessionBuilder;
import com.aliyun.odps.storage.read.TableReadSessionBuilder;
import com.aliyun.odps.storage.read.TableReaderBuilder;
import com.aliyun.odps.storage.write.TableWriteSession;
import com.aliyun.odps.storage.write.TableWriteSessionBuilder;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** docs/sdk-conformance.md names every call of the client's classes. */
class PageTest {
  @Test
  void everyCallIsOnThePage() {
    for (Class<?> kind :
        new Class<?>[] {
          MaxStorageClient.class, TableReadSessionBuilder.class, TableReaderBuilder.class, InstanceReadSessionBuilder.class,
          TableWriteSessionBuilder.class, TableWriteSession.class, BlobManager.class
        }) {
      assertEquals(Set.of(), Page.missing("Java: odps-sdk-storage-api", kind, kind.getSimpleName()));
    }
  }
}
