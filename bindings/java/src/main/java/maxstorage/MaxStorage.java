package maxstorage;

/** What concerns the whole process. */
public final class MaxStorage {
    private MaxStorage() {}

    /** Receives log records, from threads of the library and several at once; must not call the library. */
    @FunctionalInterface
    public interface LogSink {
        /** One record; {@code level} is 1 error, 2 warning, 3 info, 4 debug or 5 trace. */
        void log(int level, String target, String message);
    }

    /** The version of the library. */
    public static String version() {
        return Call.string(Call.LIBRARY.ms_version());
    }

    /** How the library was built: version, target and profile, for bug reports. */
    public static String buildInfo() {
        return Call.string(Call.LIBRARY.ms_build_info());
    }

    /** What the library can do: a bit for each constant of {@link Status} that begins with {@code FEATURE_}. */
    public static long features() {
        return Call.LIBRARY.ms_features();
    }

    /** How the library is called: {@code ffm} or {@code jni}. */
    public static String backend() {
        return Backend.CURRENT.name();
    }

    /** How many handles of the library are alive, for tests. */
    public static long liveHandles() {
        return Call.LIBRARY.ms_live_handles();
    }

    /** Sends the records up to a level to a sink; null ends that, and then the former sink is not called any more. */
    public static synchronized void setLog(int level, LogSink sink) {
        if (sink == null) {
            check(Call.LIBRARY.ms_set_log_callback(0, 0, 0));
            Callbacks.setSink(null);
        } else {
            Callbacks.setSink(sink);
            check(Call.LIBRARY.ms_set_log_callback(Backend.CURRENT.logCallback(), 0, level));
        }
    }

    /** Waits until no thread of the library is left. */
    public static void shutdown(long timeoutMs) {
        check(Call.LIBRARY.ms_shutdown(timeoutMs));
    }

    private static void check(int status) {
        if (status >= 100) {
            throw new MaxStorageException(status, 0);
        }
    }
}
