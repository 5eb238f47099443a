package maxstorage;

import java.nio.ByteBuffer;

/** The way into the library through JNI. */
final class JniBackend extends Backend {
    JniBackend() {
        super(load());
    }

    private static Functions load() {
        System.load(NativeFiles.path("libmaxstorage_jni.so").toString());
        return new JniFunctions();
    }

    @Override
    String name() {
        return "jni";
    }

    @Override
    native long address(ByteBuffer direct);

    @Override
    native byte[] bytes(long address, long length);

    @Override
    native byte[] text(long address);

    @Override
    native long logCallback();

    @Override
    native long wakeCallback();

    @Override
    native long provideCallback();

    @Override
    native long forgetCallback();

    @Override
    native long reserveCallback();

    @Override
    native long releaseCallback();
}
