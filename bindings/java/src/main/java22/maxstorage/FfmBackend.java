package maxstorage;

import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.ByteBuffer;

/** The way into the library through the foreign function interface of JDK 22 and later. */
final class FfmBackend extends Backend {
    /** Loaded for as long as the process lives: the library is not made to be unloaded. */
    static final SymbolLookup LIBRARY = SymbolLookup.libraryLookup(NativeFiles.path("libmaxstorage.so.0"), Arena.global());

    private final long log = callback("log", FunctionDescriptor.ofVoid(JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_LONG));
    private final long provide = callback("provide", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));
    private final long forget = callback("forget", FunctionDescriptor.ofVoid(JAVA_LONG));
    private final long reserve = callback("reserve", FunctionDescriptor.of(JAVA_BOOLEAN, JAVA_LONG, JAVA_LONG));
    private final long release = callback("release", FunctionDescriptor.ofVoid(JAVA_LONG, JAVA_LONG));
    private final long wake = callback("wake", FunctionDescriptor.ofVoid(JAVA_LONG));

    FfmBackend() {
        super(new FfmFunctions());
    }

    @Override
    String name() {
        return "ffm";
    }

    @Override
    long address(ByteBuffer direct) {
        return MemorySegment.ofBuffer(direct).address() - direct.position();
    }

    @Override
    byte[] bytes(long address, long length) {
        return MemorySegment.ofAddress(address).reinterpret(length).toArray(JAVA_BYTE);
    }

    @Override
    byte[] text(long address) {
        return textAt(address);
    }

    private static byte[] textAt(long address) {
        MemorySegment memory = MemorySegment.ofAddress(address).reinterpret(Long.MAX_VALUE);
        long length = 0;
        while (memory.get(JAVA_BYTE, length) != 0) {
            length++;
        }
        return memory.asSlice(0, length).toArray(JAVA_BYTE);
    }

    @Override
    long logCallback() {
        return log;
    }

    @Override
    long wakeCallback() {
        return wake;
    }

    @Override
    long provideCallback() {
        return provide;
    }

    @Override
    long forgetCallback() {
        return forget;
    }

    @Override
    long reserveCallback() {
        return reserve;
    }

    @Override
    long releaseCallback() {
        return release;
    }

    /** Called by the library. */
    private static boolean reserve(long context, long bytes) {
        return Callbacks.reserve(context, bytes);
    }

    /** Called by the library. */
    private static void release(long context, long bytes) {
        Callbacks.release(context, bytes);
    }

    /** Called by the library. */
    private static int provide(long context, long out) {
        return Callbacks.provide(context, out);
    }

    /** Called by the library. */
    private static void forget(long context) {
        Callbacks.forget(context);
    }

    /** Called by the library. */
    private static void log(long context, int level, long target, long message) {
        Callbacks.log(level, textAt(target), textAt(message));
    }

    /** Called by the library. */
    private static void wake(long context) {
        Callbacks.wake(context);
    }

    private static long callback(String name, FunctionDescriptor descriptor) {
        try {
            MethodType type = descriptor.toMethodType();
            return Linker.nativeLinker()
                    .upcallStub(MethodHandles.lookup().findStatic(FfmBackend.class, name, type), descriptor, Arena.global())
                    .address();
        } catch (ReflectiveOperationException failure) {
            throw new IllegalStateException(failure);
        }
    }
}
