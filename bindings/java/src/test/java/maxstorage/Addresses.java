package maxstorage;

import org.apache.arrow.c.ArrowArray;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.vector.VectorSchemaRoot;

/** Where values lie, for the scenario no_copy. */
public final class Addresses {
    private Addresses() {}

    /** Whether the values of the first column lie where the library put them. */
    public static boolean stay(SplitReader split, BufferAllocator allocator) {
        try (Call call = Call.begin(); ArrowArray array = ArrowArray.allocateNew(allocator)) {
            call.check(Call.LIBRARY.ms_split_next_batch(split.address(), array.memoryAddress(), call.error()));
            long values;
            try (ArrowArray column = ArrowArray.wrap(word(array.snapshot().children))) {
                values = word(column.snapshot().buffers + 8);
            }
            try (VectorSchemaRoot batch = Arrow.batch(allocator, array, split.schema())) {
                return values != 0 && values == batch.getVector(0).getDataBuffer().memoryAddress();
            }
        }
    }

    private static long word(long address) {
        return java.nio.ByteBuffer.wrap(Backend.CURRENT.bytes(address, 8)).order(java.nio.ByteOrder.nativeOrder()).getLong();
    }
}
