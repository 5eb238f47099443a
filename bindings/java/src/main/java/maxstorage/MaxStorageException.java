package maxstorage;

/** A call failed: a status for programs, a sentence for people, the request id for the support of the service. */
public final class MaxStorageException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final int code;
    private final String name;
    private final String sentence;
    private final boolean retryable;
    private final String serverCode;
    private final String requestId;
    private final int httpStatus;
    private final int attempts;
    private final String json;

    /** Copies an error of the library, which stays with the caller; 0 for none. */
    MaxStorageException(int code, long error) {
        super(message(code, error));
        Functions library = Call.LIBRARY;
        this.code = code;
        name = Call.string(library.ms_status_name(code));
        sentence = Call.string(library.ms_error_message(error));
        retryable = library.ms_error_is_retryable(error);
        serverCode = Call.string(library.ms_error_server_code(error));
        requestId = Call.string(library.ms_error_request_id(error));
        httpStatus = library.ms_error_http_status(error);
        attempts = library.ms_error_attempts(error);
        json = Call.string(library.ms_error_json(error));
    }

    private static String message(int code, long error) {
        String requestId = Call.string(Call.LIBRARY.ms_error_request_id(error));
        String text = Call.string(Call.LIBRARY.ms_status_name(code)) + ": " + Call.string(Call.LIBRARY.ms_error_message(error));
        return requestId.isEmpty() ? text : text + " (request id " + requestId + ")";
    }

    /** One of the constants of {@link Status}. */
    public int code() {
        return code;
    }

    /** The name of the status, for example {@code MS_NOT_FOUND}. */
    public String statusName() {
        return name;
    }

    /** One sentence, without credentials. */
    public String sentence() {
        return sentence;
    }

    /** Whether trying again at a higher level makes sense. */
    public boolean isRetryable() {
        return retryable;
    }

    /** The code of the service, for example {@code NoSuchTable}; empty if the failure did not come from it. */
    public String serverCode() {
        return serverCode;
    }

    /** Empty if no answer of the service belongs to the failure. */
    public String requestId() {
        return requestId;
    }

    /** 0 without an answer. */
    public int httpStatus() {
        return httpStatus;
    }

    /** How many requests were made. */
    public int attempts() {
        return attempts;
    }

    /** All of this as a JSON document, for logs. */
    public String json() {
        return json;
    }
}
