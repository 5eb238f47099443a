package maxstorage;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * The memory of one call: outputs, the error, texts. Each thread has a buffer that its calls use one after the other, so a call ends
 * before the next one of its thread begins.
 */
final class Call implements AutoCloseable {
    private static final int USUAL = 4096;
    private static final int ERROR = 0;
    /** The status of an attempt that found nothing ready. */
    static final int PENDING = 1;
    private static final ThreadLocal<Call> USUAL_CALL = ThreadLocal.withInitial(() -> new Call(USUAL));

    static final Functions LIBRARY = Backend.CURRENT.functions;

    private final ByteBuffer memory;
    private final long base;
    /** Texts that are longer than the memory; they live as long as the call. */
    private final List<ByteBuffer> spill = new ArrayList<>();
    private int used;
    private boolean busy;

    private Call(int size) {
        memory = ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder());
        base = Backend.CURRENT.address(memory);
    }

    static Call begin() {
        Call call = USUAL_CALL.get();
        if (call.busy) { // a callback of the library on this thread, which is inside a call
            call = new Call(USUAL);
        }
        call.busy = true;
        call.used = 8;
        call.memory.putLong(ERROR, 0);
        return call;
    }

    /** The moment so long from now: System.nanoTime counts as CLOCK_MONOTONIC does on Linux, where the library reads it. */
    static long deadline(Duration time) {
        return Math.max(1, (System.nanoTime() + time.toNanos()) / 1_000_000);
    }

    /** Where the error goes. */
    long error() {
        return base;
    }

    /** Room for an output of eight bytes, zero now. */
    long out() {
        reserve(8);
        memory.putLong(used, 0);
        used += 8;
        return base + used - 8;
    }

    long read(long out) {
        return memory.getLong((int) (out - base));
    }

    /** A truth value, which takes the first of the eight bytes. */
    boolean readFlag(long out) {
        return memory.get((int) (out - base)) != 0;
    }

    /** Text as the library takes it; null stays null. All texts of a call come before its outputs are asked for. */
    long text(String text) {
        if (text == null) {
            return 0;
        }
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        for (byte one : bytes) {
            if (one == 0) {
                throw new IllegalArgumentException("text with a zero character");
            }
        }
        return bytes(bytes, 1);
    }

    long bytes(byte[] bytes) {
        return bytes(bytes, 0);
    }

    private long bytes(byte[] bytes, int zeros) {
        int size = (bytes.length + zeros + 7) / 8 * 8;
        if (used + size > memory.capacity()) {
            ByteBuffer own = ByteBuffer.allocateDirect(size);
            own.put(bytes);
            spill.add(own);
            return Backend.CURRENT.address(own);
        }
        for (int i = 0; i < bytes.length; i++) {
            memory.put(used + i, bytes[i]);
        }
        for (int i = bytes.length; i < size; i++) {
            memory.put(used + i, (byte) 0);
        }
        used += size;
        return base + used - size;
    }

    /** Addresses of handles, one behind the other. */
    long addresses(Handle[] handles) {
        ByteBuffer list = ByteBuffer.allocateDirect(Math.max(8, handles.length * 8)).order(ByteOrder.nativeOrder());
        for (Handle handle : handles) {
            list.putLong(handle.address());
        }
        spill.add(list);
        return Backend.CURRENT.address(list);
    }

    private void reserve(int size) {
        if (used + size > memory.capacity()) {
            throw new IllegalStateException("too many outputs in one call");
        }
    }

    /** Throws what a status above MS_PENDING says. */
    void check(int status) {
        if (status >= 100) {
            long failure = memory.getLong(ERROR);
            try {
                throw new MaxStorageException(status, failure);
            } finally {
                LIBRARY.ms_error_free(failure);
            }
        }
    }

    @Override
    public void close() {
        busy = false;
        spill.clear();
    }

    /** Text of the library, copied. */
    static String string(long address) {
        return address == 0 ? "" : decode(Backend.CURRENT.text(address));
    }

    static String decode(byte[] utf8) {
        return new String(utf8, StandardCharsets.UTF_8);
    }
}
