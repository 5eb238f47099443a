package maxstorage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.fail;

import com.aliyun.odps.OdpsException;

/** What a refusal must carry to be of use: the status, a code for programs, a sentence, and the id of the request. */
final class Failures {
  private Failures() {}

  static OdpsException check(Throwable thrown, int status, String code) {
    OdpsException cause = service(thrown);
    assertEquals(code, cause.getErrorCode(), cause.toString());
    assertEquals(status, cause.getStatus(), cause.toString());
    assertNotNull(cause.getRequestId());
    assertFalse(cause.getRequestId().isBlank());
    assertFalse(cause.getMessage().isBlank());
    return cause;
  }

  /** The service's answer inside of what the client threw. */
  static OdpsException service(Throwable thrown) {
    for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
      if (cause instanceof OdpsException answer && answer.getErrorCode() != null) {
        return answer;
      }
    }
    return fail("no answer of the service in " + thrown, thrown);
  }
}
