package maxstorage;

import java.nio.ByteBuffer;

/** The way into the library: its functions, and what else touches memory that is not Java's. One for the process. */
abstract class Backend {
    private static final int ABI_VERSION = 0;
    private static final int FIRST_WITH_FFM = 22;

    /** FFM where the JDK has it, else JNI; the system property {@code maxstorage.backend} says otherwise. */
    static final Backend CURRENT = choose();

    final Functions functions;

    Backend(Functions functions) {
        this.functions = functions;
        int found = functions.ms_abi_version();
        if (found != ABI_VERSION) {
            throw new UnsatisfiedLinkError("this jar needs ABI " + ABI_VERSION + " of libmaxstorage; the library has " + found);
        }
    }

    /** {@code ffm} or {@code jni}. */
    abstract String name();

    /** Where a direct buffer begins. */
    abstract long address(ByteBuffer direct);

    /** A copy of memory. */
    abstract byte[] bytes(long address, long length);

    /** A copy of text that ends with a zero byte. */
    abstract byte[] text(long address);

    /** A function of the type ms_log_callback that calls {@link Callbacks#log}. */
    abstract long logCallback();

    /** A function of the type ms_wake_callback that calls {@link Callbacks#wake} with its context. */
    abstract long wakeCallback();

    /** A function of the type ms_credentials_provider that calls {@link Callbacks#provide(long, long)}. */
    abstract long provideCallback();

    /** A function of the type ms_release_callback that calls {@link Callbacks#forget}. */
    abstract long forgetCallback();

    /** A function of the type ms_memory_reserve that calls {@link Callbacks#reserve}. */
    abstract long reserveCallback();

    /** A function of the type ms_memory_release that calls {@link Callbacks#release}. */
    abstract long releaseCallback();

    private static Backend choose() {
        String wanted = System.getProperty("maxstorage.backend", Runtime.version().feature() >= FIRST_WITH_FFM ? "ffm" : "jni");
        switch (wanted) {
            case "jni":
                return new JniBackend();
            case "ffm":
                return ffm();
            default:
                throw new IllegalArgumentException("maxstorage.backend is " + wanted + "; it is ffm or jni");
        }
    }

    /** The class is there for JDK 22 and later only. */
    private static Backend ffm() {
        try {
            return (Backend) Class.forName("maxstorage.FfmBackend").getDeclaredConstructor().newInstance();
        } catch (ClassNotFoundException missing) {
            return new JniBackend(); // a jar that was built with an older JDK
        } catch (ReflectiveOperationException failure) {
            throw new IllegalStateException("the FFM backend does not start", failure);
        }
    }
}
