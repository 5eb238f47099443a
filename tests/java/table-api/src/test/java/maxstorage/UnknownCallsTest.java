package maxstorage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.FileResource;
import com.aliyun.odps.Function;
import com.aliyun.odps.NoSuchObjectException;
import com.aliyun.odps.Odps;
import com.aliyun.odps.OdpsException;
import com.aliyun.odps.rest.RestClient;
import com.aliyun.odps.tunnel.TableTunnel;
import com.aliyun.odps.tunnel.TunnelException;
import com.aliyun.odps.tunnel.VolumeTunnel;
import java.io.ByteArrayInputStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What the service does not have is refused before the client could lose patience. */
class UnknownCallsTest {
  /** Far below the 130 s that the client waits before it repeats something. */
  private static final Duration AT_ONCE = Duration.ofSeconds(20);

  private final Odps odps = Clients.odps();

  @Test
  void objectsThatThereAreNoneOfAreNotFound() {
    assertTimeout(AT_ONCE, () -> {
      assertThrows(NoSuchObjectException.class, () -> odps.functions().get("f").reload());
      assertThrows(NoSuchObjectException.class, () -> odps.resources().get("r").reload());
      assertThrows(NoSuchObjectException.class, () -> odps.volumes().get("v").reload());
      assertThrows(NoSuchObjectException.class, () -> odps.xFlows().get("x").reload());
      assertFalse(odps.functions().exists("f"));
      assertFalse(odps.volumes().exists("v"));
      assertFalse(odps.functions().iterator().hasNext());
      assertFalse(odps.resources().iterator().hasNext());
      assertFalse(odps.volumes().iterator().hasNext());
    });
  }

  @Test
  void makingSuchAnObjectIsNotImplemented() {
    assertTimeout(AT_ONCE, () -> {
      Function function = new Function();
      function.setName("f");
      function.setClassPath("a.B");
      function.setResources(List.of());
      assertEquals(501, assertThrows(OdpsException.class, () -> odps.functions().create(function)).getStatus());
      FileResource resource = new FileResource();
      resource.setName("r");
      ByteArrayInputStream bytes = new ByteArrayInputStream(new byte[100_000]);
      assertEquals(501, assertThrows(OdpsException.class, () -> odps.resources().create(resource, bytes)).getStatus());
      OdpsException unknown = assertThrows(OdpsException.class, () -> odps.getRestClient().request("/nonsense", "POST", null, null, null));
      assertEquals(501, unknown.getStatus());
      assertTrue(unknown.getMessage().contains("POST /api/nonsense"), unknown.getMessage());
    });
  }

  @Test
  void tunnelsThatThereAreNoneOfAreRefused() {
    assertTimeout(AT_ONCE, () -> {
      TableTunnel tunnel = new TableTunnel(odps);
      OdpsException upserts = assertThrows(OdpsException.class, () -> tunnel.buildUpsertSession("local", "ramp").build());
      assertTrue(upserts.getMessage().contains("no upserts"), upserts.getMessage());
      OdpsException streams = assertThrows(OdpsException.class, () -> tunnel.buildStreamUploadSession("local", "ramp").build());
      assertTrue(streams.getMessage().contains("no stream uploads"), streams.getMessage());
      VolumeTunnel volumes = new VolumeTunnel(odps);
      assertEquals("NoSuchObject", assertThrows(TunnelException.class, () -> volumes.createUploadSession("local", "v", "p")).getErrorCode());
      assertEquals("NoSuchObject", assertThrows(TunnelException.class, () -> volumes.createDownloadSession("local", "v", "p", "f")).getErrorCode());
    });
  }

  /** Why a GET that this client sends is never answered 501: with its usual time-outs these two seconds are 130. */
  @Test
  void aGetIsRepeatedAfter501AndAPostIsNot() {
    RestClient rest = odps.getRestClient();
    rest.setConnectTimeout(1);
    rest.setReadTimeout(1);
    rest.setRetryTimes(2);
    List<Long> waits = new ArrayList<>();
    rest.setRetryLogger(new RestClient.RetryLogger() {
      @Override
      public void onRetryLog(Throwable failure, long count, long millis) {
        waits.add(millis);
      }
    });
    assertThrows(OdpsException.class, () -> rest.request("/nonsense", "POST", null, null, null));
    assertEquals(List.of(), waits);
    long start = System.nanoTime();
    OdpsException unknown = assertThrows(OdpsException.class, () -> rest.request("/nonsense", "GET", null, null, null));
    assertEquals(501, unknown.getStatus());
    assertEquals(2, waits.size());
    assertTrue(System.nanoTime() - start >= 3_500_000_000L, "two waits of two seconds each");
  }
}
